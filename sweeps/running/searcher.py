"""Plan -> Ray Tune: hands out a stage as soon as its inputs are committed, with no barrier.

Tune's own retries are not used: it does not know whose fault a failure is.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from osr_core.errors import OsrError
from osr_core.stage import Stage
from sweeps.planning.frontier import Frontier
from sweeps.running import retries
from sweeps.running.retries import Retries
from sweeps.running.worker import Outcome

Started = Callable[[Stage], None]
Retried = Callable[[Outcome], None]  # an attempt that came to nothing; there will be another
Ended = Callable[[Outcome, list[str]], None]  # the outcome, and ids of stages skipped for it
NODE_WORDS = ("node has died", "preempted", "node was terminated")  # in Ray's reason of a death
DOUBT_WORDS = "is unavailable"  # there too: the connection is gone, and Ray does not know why yet
DOUBT_S = 30.0  # Ray notices a lost node by missing heartbeats, after half of that
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Nodes:
    """How many machines of a cluster there are, and how many there were and died."""

    alive: int
    lost: int


class StageSearcher(Searcher):  # type: ignore[misc]
    """Tune asks it for the next trial and tells it how each one ended."""

    def __init__(
        self,
        stages: list[Stage],
        started: Started,
        retried: Retried,
        ended: Ended,
        count_nodes: Callable[[], Nodes],
    ) -> None:
        super().__init__(metric="wall_s", mode="min")
        self.frontier = Frontier(stages)
        self.started, self.retried, self.ended = started, retried, ended
        self.stages = {stage.id: stage for stage in stages}
        self.running: dict[str, str] = {}  # Tune's trial id -> stage id
        self.doubts = Doubts(count_nodes)
        self.alone: set[str] = set()  # stages that get a whole GPU after running out of memory
        self.retries = Retries()
        self.stopping = False
        self.problem: OsrError | None = None  # why nothing more is handed out, if not by request

    def stop(self) -> None:
        """Hand out nothing more; what runs may end."""
        self.stopping = True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next stage; None: ask again later; FINISHED: there will be no more."""
        if self.stopping or self.frontier.exhausted:
            return Searcher.FINISHED  # type: ignore[no-any-return]
        for outcome in self.doubts.settled(time.monotonic()):
            self._follow(outcome)
        stage = self.frontier.next(time.monotonic())
        if stage is None:
            return None
        self.running[trial_id] = stage.id
        self.started(stage)
        return {"stage_id": stage.id, "alone": stage.id in self.alone}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the users of a finished stage. A death is told to `on_death` instead."""
        if error or result is None:
            return
        fields = [field.name for field in dataclasses.fields(Outcome)]
        self._settle(trial_id, Outcome(**{name: result[name] for name in fields}))

    def on_death(self, trial_id: str, message: str) -> None:
        """The process of a running stage is gone; Ray's words say whether its node is, too."""
        stage_id = self.running.get(trial_id)
        if stage_id is None:
            return
        node = any(word in message for word in NODE_WORDS)
        outcome = death(stage_id, retries.NODE_LOST if node else retries.WORKER_DIED, message)
        if DOUBT_WORDS in message and self.doubts.add(outcome, time.monotonic()):
            del self.running[trial_id]
        else:
            self._settle(trial_id, outcome)

    def _settle(self, trial_id: str, outcome: Outcome) -> None:
        if self.running.pop(trial_id, None) is not None:
            self._follow(outcome)

    def _follow(self, outcome: Outcome) -> None:
        """Release, repeat or skip."""
        try:
            self._tell(outcome)
        except OsrError as error:  # such as a full disk; Tune would take it for the trial's
            self.problem = error
            self.stop()

    def _tell(self, outcome: Outcome) -> None:
        stage_id = outcome.stage_id
        skipped: list[str] = []
        if outcome.cause is None:
            self.frontier.finish(stage_id)
        elif outcome.cause not in retries.OF_LAUNCH:
            delay = self.retries.delay(stage_id, outcome.cause)
            if delay is not None:
                if outcome.cause == retries.OUT_OF_MEMORY:
                    self.alone.add(stage_id)
                self.frontier.again(stage_id, time.monotonic() + delay)
                self.retried(outcome)
                return
            skipped = self.frontier.fail(stage_id)
        self.ended(outcome, skipped)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: what is done is on the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into snapshots that are never read."""
        return {}


class Doubts:
    """Deaths of which it is not known yet whether the whole node died.

    Ray tells of the lost connection at once and misses the node later; it may also have missed it
    before a busy driver comes to read of the connection. So a node found lost within DOUBT_S before
    or after counts; otherwise the worker died by itself.
    """

    def __init__(self, count_nodes: Callable[[], Nodes]) -> None:
        self._count_nodes = count_nodes
        self._nodes = count_nodes()
        self._lost_at = self._looked_at = -math.inf
        self._open: list[tuple[float, Outcome]] = []  # since when, what it is if no node is lost

    def add(self, outcome: Outcome, now: float) -> bool:
        """A process died; whether its node may have, so that the outcome comes by `settled`."""
        self._look(now)
        possible = self._nodes.alive > 1 or now <= self._lost_at + DOUBT_S
        if possible:
            self._open.append((now, outcome))
        return possible

    def settled(self, now: float) -> list[Outcome]:
        """Outcomes that are certain by now."""
        if now < self._looked_at + LOOK_EVERY_S:
            return []
        self._look(now)
        found, still = [], []
        for since, outcome in self._open:
            if since <= self._lost_at + DOUBT_S:
                message = outcome.traceback or ""
                found.append(death(outcome.stage_id, retries.NODE_LOST, message))
            elif now > since + DOUBT_S:
                found.append(outcome)
            else:
                still.append((since, outcome))
        self._open = still
        return found

    def _look(self, now: float) -> None:
        nodes = self._count_nodes()
        if nodes.lost > self._nodes.lost:
            self._lost_at = now
        self._nodes, self._looked_at = nodes, now


def death(stage_id: str, cause: str, message: str) -> Outcome:
    """How an attempt ended whose process is gone; `message` is Ray's."""
    lines = message.strip().splitlines()
    reason = f"{cause}: {lines[-1]}" if lines else cause
    return Outcome(stage_id=stage_id, wall_s=0.0, cause=cause, reason=reason, traceback=message)


class Deaths(tune.Callback):  # type: ignore[misc]
    """Tells the searcher of worker processes that died; Tune's searchers do not hear why."""

    def __init__(self, searcher: StageSearcher) -> None:
        self.searcher = searcher

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called after Tune gave the trial up; it has just written why into a local file."""
        written = Path(trial.error_file) if trial.error_file else None
        message = written.read_text() if written and written.exists() else ""
        remove_pickled_error(trial)
        self.searcher.on_death(trial.trial_id, message)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Called before Tune reads the errors back, one of which it may have written twice."""
        for trial in trials:
            remove_pickled_error(trial)

    def __getstate__(self) -> dict[str, Any]:
        """As the searcher's."""
        return {}


def remove_pickled_error(trial: Any) -> None:
    """Leave no pickle that Tune would read back."""
    if trial.pickled_error_file:
        Path(trial.pickled_error_file).unlink(missing_ok=True)
