"""What Tune tells of its trials beyond what a searcher hears, and when it is to end."""

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler

from sweeps.running.searcher import StageSearcher


class Events(tune.Callback):  # type: ignore[misc]
    """Tells the searcher which trials got a machine, and whose worker processes died."""

    def __init__(self, searcher: StageSearcher) -> None:
        self.searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called when a worker takes a trial."""
        self.searcher.on_trial_start(trial.trial_id)

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


class LetsGo(FIFOScheduler):  # type: ignore[misc]
    """Gives machines back for which there is nothing now.

    Tune keeps the last worker for the next trial, whatever it is and however late it comes (seen in
    Ray 2.60): a paused sweep, or one that has its share, would sit on a machine that others want.
    """

    def __init__(self, searcher: StageSearcher) -> None:
        super().__init__()
        self.searcher = searcher

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Called in each of Tune's turns."""
        if self.searcher.keeps_no_idle_worker:
            tune_controller._cleanup_cached_actors(force_all=True)
        return super().choose_trial_to_run(tune_controller)

    def __getstate__(self) -> dict[str, Any]:
        """As the searcher's."""
        return {}


class NothingLeft(tune.Stopper):  # type: ignore[misc]
    """Ends Tune while trials are queued for which there may never be a machine."""

    def __init__(self, searcher: StageSearcher) -> None:
        self.searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped by its result."""
        return False

    def stop_all(self) -> bool:
        """Whether nothing is handed out any more, or nothing is left, and nothing runs."""
        return self.searcher.idle

    def __getstate__(self) -> dict[str, Any]:
        """As the searcher's."""
        return {}


def remove_pickled_error(trial: Any) -> None:
    """Leave no pickle that Tune would read back."""
    if trial.pickled_error_file:
        Path(trial.pickled_error_file).unlink(missing_ok=True)
