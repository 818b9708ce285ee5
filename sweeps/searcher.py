"""Plan -> Ray Tune: hands out a stage as soon as its inputs are committed, with no barrier."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from osr_core.stage import Stage
from sweeps.frontier import Frontier
from sweeps.work import Outcome

Started = Callable[[Stage], None]
Ended = Callable[[Outcome, list[str]], None]  # the outcome, and ids of stages skipped for it


class StageSearcher(Searcher):  # type: ignore[misc]
    """Tune asks it for the next trial and tells it how each one ended."""

    def __init__(self, frontier: Frontier, started: Started, ended: Ended) -> None:
        super().__init__(metric="wall_s", mode="min")
        self.frontier, self.started, self.ended = frontier, started, ended
        self.running: dict[str, str] = {}  # Tune's trial id -> stage id

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next stage; None: ask again later; FINISHED: there will be no more."""
        stage = self.frontier.next()
        if stage is None:
            return Searcher.FINISHED if self.frontier.exhausted else None
        self.running[trial_id] = stage.id
        self.started(stage)
        return {"stage_id": stage.id}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the users of a finished stage, or skip those of a failed one."""
        stage_id = self.running.pop(trial_id, None)
        if stage_id is None:
            return
        if result is None or error:
            reason = "its worker process died again and again; see Ray's logs"
            outcome = Outcome(stage_id=stage_id, wall_s=0.0, reason=reason)
        else:
            outcome = Outcome(**{key: result[key] for key in ("stage_id", "wall_s", "reason")})
        skipped: list[str] = []
        if outcome.reason is None:
            self.frontier.finish(stage_id)
        else:
            skipped = self.frontier.fail(stage_id)
        self.ended(outcome, skipped)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: what is done is on the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into snapshots that are never read."""
        return {}
