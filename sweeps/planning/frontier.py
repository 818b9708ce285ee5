"""Which stage is next: those whose inputs are done, longest remaining path first. Pure."""

import heapq
from collections.abc import Iterable

from osr_core.stage import Stage


class Frontier:
    """Hands out each stage exactly once, after all of its inputs have finished."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        """`stages` must still run, inputs before users; an input not among them is done."""
        self._stages = {stage.id: stage for stage in stages}
        self._waiting_for = {
            stage_id: {up.id for up in stage.inputs.values() if up.id in self._stages}
            for stage_id, stage in self._stages.items()
        }
        self._users: dict[str, list[str]] = {stage_id: [] for stage_id in self._stages}
        for stage_id, inputs in self._waiting_for.items():
            for upstream in inputs:
                self._users[upstream].append(stage_id)
        self._rank = self._ranks()
        self._unfinished = set(self._stages)
        self._ready = [self._rank[s] for s, inputs in self._waiting_for.items() if not inputs]
        heapq.heapify(self._ready)
        self._delayed: list[tuple[float, str]] = []  # (not before, stage id)

    def _ranks(self) -> dict[str, tuple[float, int, str]]:
        """Sort keys: minus the length of the longest path to an end, then the plan's order."""
        length: dict[str, float] = {}
        for stage_id in reversed(self._stages):
            after = max((length[user] for user in self._users[stage_id]), default=0.0)
            length[stage_id] = after + effort(self._stages[stage_id])
        return {s: (-length[s], order, s) for order, s in enumerate(self._stages)}

    def next(self, now: float = 0.0) -> Stage | None:
        """The next stage to run, or None while all that is left waits for others or for later."""
        while self._delayed and self._delayed[0][0] <= now:
            heapq.heappush(self._ready, self._rank[heapq.heappop(self._delayed)[1]])
        return self._stages[heapq.heappop(self._ready)[2]] if self._ready else None

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
            if not self._waiting_for[user]:
                heapq.heappush(self._ready, self._rank[user])

    def fail(self, stage_id: str) -> list[str]:
        """A stage failed for good; ids of its dependants, which will never be handed out."""
        if stage_id not in self._unfinished:
            return []
        self._unfinished.remove(stage_id)
        skipped: list[str] = []
        for user in self._users[stage_id]:
            if user in self._unfinished:
                skipped += [user, *self.fail(user)]
        return skipped

    @property
    def exhausted(self) -> bool:
        """Whether no stage is left, running or waiting."""
        return not self._unfinished


def effort(stage: Stage) -> float:
    """A rough length of a stage, in epochs; it orders work and changes no result."""
    return float(stage.config["training"]["epochs"]) if stage.kind == "fit" else 1.0
