"""Plan -> Ray Tune: hands out a bundle as soon as its inputs are committed, with no barrier.

A bundle is one or more stages that run in one process one after the other, with an outcome each; it
is one trial of Tune's. Tune's own retries are not used: it does not know whose fault a failure is.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from typing import Any

from ray.tune.search import Searcher

from osr_core.errors import OsrError
from osr_core.stage import Stage
from sweeps.planning.frontier import Frontier
from sweeps.planning.resources import Resources
from sweeps.running.asking import Asking
from sweeps.running.deaths import DOUBT_WORDS, NODE_WORDS, Doubts, death
from sweeps.running.outcome import OF_LAUNCH, Cause, Outcome
from sweeps.running.placement import Ask, Machines, Room, UnplacedError, lacks_gpu, part_of
from sweeps.running.retries import CLAIMED_DELAY_S, Retries
from sweeps.running.watcher import Watcher

LOOK_EVERY_S = 1.0


class StageSearcher(Searcher):  # type: ignore[misc]
    """Tune asks it for the next bundle and tells it how each one ended."""

    def __init__(
        self,
        stages: Sequence[Stage],
        resources: Resources,
        watcher: Watcher,
        look: Callable[[], Machines],
        wait_s: float,
    ) -> None:
        super().__init__(metric="wall_s", mode="min")
        self.asking = Asking(resources)
        self.frontier = Frontier(stages, group=self.asking.group)
        self.stages = {stage.id: stage for stage in stages}
        self.resources, self.watcher, self._look = resources, watcher, look
        self.room = Room(look(), wait_s, watcher.waiting)
        self.doubts = Doubts(look)
        self.running: dict[str, tuple[str, ...]] = {}  # Tune's trial id -> ids of its stages
        self.asked: dict[str, Ask] = {}  # by Tune's trial id
        self.begun: set[str] = set()  # Tune's ids of trials that have a machine
        self.void: dict[str, tuple[str, Ask]] = {}  # as both, of stages cancelled in the queue
        self.of_sort: Counter[Any] = Counter()  # stages that are handed out, by group
        self.added: dict[str, str] = {}  # by stage id, what workers must be told of a later stage
        self.retries = Retries()
        self.stopping = False
        self.paused = False  # while it is, nothing is handed out
        self.problem: OsrError | None = None  # why nothing more is handed out, if not by request
        self._looked_at = time.monotonic()

    def stop(self) -> None:
        """Hand out nothing more; what runs may end."""
        self.stopping = True

    def add(self, stages: Sequence[Stage]) -> list[str]:
        """Take stages that the plan has got meanwhile; ids of those that cannot run any more."""
        for stage in stages:
            upstream = {up.id: up.identity for up in stage.walk()}
            self.added[stage.id] = json.dumps(upstream)
            self.stages[stage.id] = stage
        return self.frontier.add(stages)

    def cancel_queued(self, ids: Set[str]) -> None:
        """Give up those of `ids` that have no machine yet; workers see to those that have one."""
        for trial_id in self.running.keys() - self.begun:
            for stage_id in ids & set(self.running[trial_id]):
                cause = Cause.CANCELLED
                outcome = Outcome(stage_id=stage_id, wall_s=0.0, cause=cause, reason=str(cause))
                self.void[stage_id] = trial_id, self.asked[trial_id]
                self._settle(trial_id, outcome)

    def withdraw(self, ids: Collection[str]) -> list[str]:
        """Give up stages that are not handed out yet; ids of these and of what needs them."""
        handed_out = {stage_id for bundle in self.running.values() for stage_id in bundle}
        return self.frontier.withdraw(set(ids) - handed_out)

    def revive(self, ids: Collection[str]) -> list[str]:
        """Take back stages that were given up; ids of these and of what needs them."""
        revived = self.frontier.revive(ids)
        self.retries.forget(revived)
        return revived

    @property
    def num_running(self) -> int:
        """Bundles that have a machine."""
        return len(self.begun)

    @property
    def part_running(self) -> float:
        """The part of the cluster that this sweep uses."""
        total = self.room.machines.total
        asked = (self.asked[each] for each in self.begun & self.running.keys())
        return sum(part for ask in asked if (part := part_of(ask, total)) <= 1)

    @property
    def keeps_no_idle_worker(self) -> bool:
        """Whether others want the machine that Tune would keep for a stage that may come."""
        wanted = self.paused or self.room.share is not None
        return wanted and not any(self.room.machines.room_for(ask) for _, ask in self.queued())

    def asks(self) -> Counter[Ask]:
        """What it could have of the cluster at once, by how many stages ask for it."""
        asks = Counter(self.asked.values())
        if not (self.paused or self.stopping):
            heads, ready = self.frontier.heads(time.monotonic()), self.frontier.num_ready()
            for group, stage in heads.items():
                asks[self.ask(stage)] += ready[group]
        return asks

    def queued(self) -> list[tuple[str, Ask]]:
        """Ids of stages that wait for a machine, in the order in which they were handed out."""
        waiting = [each for each in self.running if each not in self.begun]
        return [(stage_id, self.asked[each]) for each in waiting for stage_id in self.running[each]]

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing will: what is queued need not be waited for."""
        return (self.stopping or self._is_over) and not self.begun

    @property
    def _is_over(self) -> bool:
        return self.frontier.exhausted and not self.watcher.is_behind

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next bundle; None: ask again later; FINISHED: there will be no more."""
        now = time.monotonic()
        if now >= self._looked_at + LOOK_EVERY_S:
            self._looked_at = now
            self._guarded(self._look_around, now)
        if self.stopping or self._is_over:
            return Searcher.FINISHED  # type: ignore[no-any-return]
        for outcome in self.doubts.settled(now):
            self._follow(outcome)
        if self.paused or self.stopping:
            return None
        heads = self.frontier.heads(now)
        full = [group for group, stage in heads.items() if not self._has_room(stage)]
        while (stage := self.frontier.next(now, full)) is not None:
            if not self.watcher.may_run(stage):
                self.frontier.again(stage.id, now + CLAIMED_DELAY_S)
            elif (queued := self.void.pop(stage.id, None)) is not None:
                self._hand_out(*queued, stage)  # a second trial would train it twice
            else:
                break
        if stage is None:
            return None
        ask = self.ask(stage)
        self._hand_out(trial_id, ask, stage)
        return {
            "stage_ids": [stage.id],
            "takes": ask.takes,
            "labels": dict(ask.labels),
            "lacks_gpu": lacks_gpu(stage, self.resources, self.room.machines),
            "added": self.added.get(stage.id, ""),
        }

    def _hand_out(self, trial_id: str, ask: Ask, stage: Stage) -> None:
        """Let a stage be what a trial of Tune's runs that takes so much."""
        self.running[trial_id], self.asked[trial_id] = (stage.id,), ask
        self.room.handed_out[ask] += 1
        self.of_sort[self.asking.group(stage)] += 1
        if why := self.asking.explain(stage, self.room.machines, self.watcher.name(stage)):
            self.watcher.waiting(why)
        self.watcher.handed_out(stage)

    def on_trial_start(self, trial_id: str) -> None:
        """A bundle has its machine."""
        self.begun.add(trial_id)
        self._left_queue(trial_id)
        for stage_id in self.running.get(trial_id, ()):
            self.watcher.began(self.stages[stage_id])

    def _left_queue(self, trial_id: str) -> None:
        self.void = {each: queued for each, queued in self.void.items() if queued[0] != trial_id}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the users of finished stages. A death is told to `on_death` instead."""
        self.begun.discard(trial_id)
        self._left_queue(trial_id)
        if error or not result or "outcomes" not in result:  # a death, or it never ran
            return
        for outcome in [Outcome(**fields) for fields in result["outcomes"]]:
            self.asking.note(outcome, self.stages[outcome.stage_id], result.get("node", ""))
            self._settle(trial_id, outcome)

    def on_death(self, trial_id: str, message: str) -> None:
        """The process of a bundle is gone; Ray's words say whether its node is, too."""
        node = any(word in message for word in NODE_WORDS)
        for stage_id in self.running.get(trial_id, ()):
            lost = death(stage_id, Cause.NODE_LOST if node else Cause.WORKER_DIED, message)
            if DOUBT_WORDS in message and self.doubts.add(lost, time.monotonic()):
                self._release(trial_id, stage_id)
            else:
                self._settle(trial_id, lost)

    def ask(self, stage: Stage) -> Ask:
        """What a stage asks of its machine, if it is handed out now."""
        return self.asking.ask(stage, self.room.machines)

    def asked_for(self, stage: Stage) -> Ask:
        """What a stage that is handed out asked for then."""
        return next(self.asked[each] for each, ids in self.running.items() if stage.id in ids)

    def _has_room(self, stage: Stage) -> bool:
        ask, machines = self.ask(stage), self.room.machines
        if not self.asking.measures(stage, machines):
            return self.room.has(ask)
        alike = self.of_sort[self.asking.group(stage)]  # of which none is queued ahead
        return self.room.has(ask) and alike < max(machines.room_for(ask), 1)

    def _look_around(self, now: float) -> None:
        """What the cluster has now, and what the user wants."""
        self.watcher.look()
        for stage in self.frontier.heads(now).values():
            if why := self.asking.avoids(stage, self.room.machines, self.watcher.name(stage)):
                self.watcher.waiting(why)
        names = {} if self.paused else dict(self._waiting(now))
        described = {ask: self.watcher.name(stage) for ask, stage in names.items()}
        why = self.room.look(self._look(), described, now)
        if why and not self.begun:  # else what runs may make more ready for which there is room
            raise UnplacedError(f"{why}. Lower `resources` in the spec, or wait longer (--wait).")

    def _waiting(self, now: float) -> list[tuple[Ask, Stage]]:
        """What is ready or queued, and what it asks for."""
        return [
            *((self.ask(stage), stage) for stage in self.frontier.heads(now).values()),
            *((ask, self.stages[stage_id]) for stage_id, ask in self.queued()),
        ]

    def _release(self, trial_id: str, stage_id: str) -> bool:
        """Take a stage out of its bundle; False if it is not there any more."""
        left = self.running.get(trial_id, ())
        if stage_id not in left:
            return False
        self.running[trial_id] = tuple(each for each in left if each != stage_id)
        self.of_sort[self.asking.group(self.stages[stage_id])] -= 1
        if not self.running[trial_id]:
            del self.running[trial_id]
            self.room.handed_out[self.asked.pop(trial_id)] -= 1
            self.begun.discard(trial_id)
        return True

    def _settle(self, trial_id: str, outcome: Outcome) -> None:
        asked = self.asked.get(trial_id)
        if asked is not None and self._release(trial_id, outcome.stage_id):
            self._follow(self.asking.judged(outcome, self.stages[outcome.stage_id], asked))

    def _follow(self, outcome: Outcome) -> None:
        """Release, repeat or skip."""
        self._guarded(self._tell, outcome)

    def _guarded(self, step: Callable[[Any], None], given: Any) -> None:
        try:
            step(given)
        except OsrError as error:  # such as a full disk; Tune would take it for the trial's
            self.problem = error
            self.stop()
        except Exception as error:  # Tune would swallow it
            self.problem = OsrError(f"the launch cannot go on: {type(error).__name__}: {error}")
            self.problem.__cause__ = error
            self.stop()

    def _tell(self, outcome: Outcome) -> None:
        stage_id = outcome.stage_id
        skipped: list[str] = []
        if outcome.cause is None:
            self.frontier.finish(stage_id)
        elif outcome.cause not in OF_LAUNCH:
            delay = self.retries.delay(stage_id, outcome.cause)
            if delay is not None:
                if outcome.cause == Cause.LACKS_DATA:
                    ask = self.ask(self.stages[stage_id])
                    self.asking.lacking.check(ask, outcome, self.room.machines)
                if outcome.cause == Cause.GPU_CAME:
                    self.room.gpu_came()
                self.frontier.again(stage_id, time.monotonic() + delay)
                self.watcher.retried(outcome)
                return
            skipped = self.frontier.fail(stage_id)
        self.watcher.ended(outcome, skipped)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: what is done is on the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into snapshots that are never read."""
        return {}
