"""Which stage is next: those whose inputs are done, longest remaining path first. Pure."""

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable

from osr_core.stage import Stage

Rank = tuple[float, int, str]  # minus the length of the longest path to an end, order, stage id


class Frontier:
    """Hands out each stage exactly once, after all of its inputs have finished.

    Stages may be added while others run. Those of one `group` ask the same of a machine; a group
    for which there is no room is passed over.
    """

    def __init__(
        self, stages: Iterable[Stage], group: Callable[[Stage], Hashable] = lambda stage: None
    ) -> None:
        self._group = group
        self._stages: dict[str, Stage] = {}
        self._waiting_for: dict[str, set[str]] = {}
        self._users: dict[str, list[str]] = {}
        self._length: dict[str, float] = {}
        self._rank: dict[str, Rank] = {}
        self._unfinished: set[str] = set()
        self._given_up: set[str] = set()
        self._skipped: set[str] = set()  # of those: only since an input was given up
        self._ready: dict[Hashable, list[Rank]] = {}
        self._delayed: list[tuple[float, str]] = []  # (not before, stage id)
        self.add(stages)

    def add(self, stages: Iterable[Stage]) -> list[str]:
        """Take stages that must still run, inputs before users; one that is known stays as it is.

        An input that is not among them, nor was before, is done. Returns the ids of those that will
        never be handed out, because an input was given up.
        """
        new = {stage.id: stage for stage in stages if stage.id not in self._stages}
        self._stages |= new
        self._unfinished |= new.keys()
        not_there = self._unfinished | self._given_up
        for stage_id, stage in new.items():
            self._users[stage_id] = []
            inputs = {up.id for up in stage.inputs.values() if up.id in self._stages}
            self._waiting_for[stage_id] = inputs & not_there
            for upstream in inputs:
                self._users[upstream].append(stage_id)
        self._order(new)
        skipped: list[str] = []
        for stage_id in new:
            if self._waiting_for[stage_id] & self._given_up and stage_id in self._unfinished:
                skipped += [stage_id, *self.fail(stage_id)]
                self._skipped.add(stage_id)
            elif not self._waiting_for[stage_id]:
                self._push(stage_id)
        return skipped

    def _order(self, new: dict[str, Stage]) -> None:
        """Rank new stages: longer paths first, then in their order."""
        for stage_id in reversed(new):
            after = max((self._length[user] for user in self._users[stage_id]), default=0.0)
            self._length[stage_id] = after + self._stages[stage_id].effort
        for order, stage_id in enumerate(new, start=len(self._rank)):
            self._rank[stage_id] = (-self._length[stage_id], order, stage_id)

    def _push(self, stage_id: str) -> None:
        group = self._group(self._stages[stage_id])
        heapq.heappush(self._ready.setdefault(group, []), self._rank[stage_id])

    def heads(self, now: float = 0.0) -> dict[Hashable, Stage]:
        """By group, the stage of it that is next."""
        while self._delayed and self._delayed[0][0] <= now:
            self._push(heapq.heappop(self._delayed)[1])
        return {group: self._stages[heap[0][2]] for group, heap in self._ready.items() if heap}

    def num_ready(self) -> dict[Hashable, int]:
        """By group, how many stages of it could be handed out."""
        return {group: len(heap) for group, heap in self._ready.items() if heap}

    def next(self, now: float = 0.0, full: Collection[Hashable] = ()) -> Stage | None:
        """The next stage to run that is of no group in `full`.

        None while all that is left waits for others, for later or for room.
        """
        groups = [group for group in self.heads(now) if group not in full]
        if not groups:
            return None
        first = min(groups, key=lambda group: self._ready[group][0])
        return self._stages[heapq.heappop(self._ready[first])[2]]

    def again(self, stage_id: str, not_before: float) -> None:
        """An attempt at a stage came to nothing; it is handed out once more."""
        if stage_id in self._unfinished:
            heapq.heappush(self._delayed, (not_before, stage_id))

    def finish(self, stage_id: str) -> None:
        """A stage is committed; its users may become ready. Saying so twice changes nothing."""
        if stage_id not in self._unfinished:
            return
        self._unfinished.remove(stage_id)
        for user in self._users[stage_id]:
            self._waiting_for[user].discard(stage_id)
            if not self._waiting_for[user] and user in self._unfinished:
                self._push(user)

    def fail(self, stage_id: str) -> list[str]:
        """A stage failed for good; ids of its dependants, which will never be handed out."""
        if stage_id not in self._unfinished:
            return []
        self._unfinished.remove(stage_id)
        self._given_up.add(stage_id)
        skipped: list[str] = []
        for user in self._users[stage_id]:
            if user in self._unfinished:
                skipped += [user, *self.fail(user)]
                self._skipped.add(user)
        return skipped

    def withdraw(self, stage_ids: Collection[str]) -> list[str]:
        """Give up stages that nobody has been handed; ids of these and of their dependants."""
        gone: list[str] = []
        for stage_id in stage_ids:
            if stage_id in self._unfinished:
                gone += [stage_id, *self.fail(stage_id)]
        if not gone:
            return gone
        dropped = set(gone)
        for heap in self._ready.values():
            heap[:] = [rank for rank in heap if rank[2] not in dropped]
            heapq.heapify(heap)
        self._delayed = [each for each in self._delayed if each[1] not in dropped]
        heapq.heapify(self._delayed)
        return gone

    def revive(self, stage_ids: Collection[str]) -> list[str]:
        """Take stages back that were given up; ids of these and of their dependants that can run
        again, also those that were withdrawn with them, inputs before users.
        """
        self._skipped |= self._given_up.intersection(stage_ids)
        revived = []
        for stage_id in self._stages:
            if stage_id in self._skipped and not self._waiting_for[stage_id] & self._given_up:
                self._given_up.remove(stage_id)
                self._skipped.remove(stage_id)
                self._unfinished.add(stage_id)
                revived.append(stage_id)
                if not self._waiting_for[stage_id]:
                    self._push(stage_id)
        return revived

    @property
    def num_left(self) -> int:
        """Stages that run or wait."""
        return len(self._unfinished)

    @property
    def exhausted(self) -> bool:
        """Whether no stage is left, running or waiting."""
        return not self._unfinished


def can_run(stages: Iterable[Stage], given_up: Collection[str]) -> bool:
    """Whether any of these stages needs nothing that is given up."""
    frontier = Frontier(stages)
    frontier.withdraw(given_up)
    return not frontier.exhausted
