"""Plan -> Ray Tune: hands out a stage as soon as its inputs are committed, with no barrier.

Tune's own retries are not used: it does not know whose fault a failure is.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from osr_core.errors import OsrError
from osr_core.stage import Stage
from sweeps.planning.frontier import Frontier
from sweeps.running.deaths import (
    DOUBT_WORDS,
    NODE_WORDS,
    Doubts,
    Nodes,
    death,
    remove_pickled_error,
)
from sweeps.running.outcome import OF_LAUNCH, Cause, Outcome
from sweeps.running.retries import Retries

Started = Callable[[Stage], None]
Retried = Callable[[Outcome], None]  # an attempt that came to nothing; there will be another
Ended = Callable[[Outcome, list[str]], None]  # the outcome, and ids of stages skipped for it


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
        outcome = death(stage_id, Cause.NODE_LOST if node else Cause.WORKER_DIED, message)
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
        elif outcome.cause not in OF_LAUNCH:
            delay = self.retries.delay(stage_id, outcome.cause)
            if delay is not None:
                if outcome.cause == Cause.OUT_OF_MEMORY:
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
