"""After a fault of MLflow only what may have changed is looked up again."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from analysis.exports.write import export
from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.tracking import background
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.found_runs import FoundRuns
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tracker import make_tracker
from tests.sweeps.tracking.live import LiveFit, runs_of, shown
from tests.sweeps.tracking.test_arrival import finished

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Of which stage runs were listed; None: of all."""
    asked: list[str | None] = []
    all_runs = FoundRuns.all_runs

    def noted(self: FoundRuns, stage_id: str | None = None) -> list[Any]:
        asked.append(stage_id)
        return all_runs(self, stage_id)

    monkeypatch.setattr(FoundRuns, "all_runs", noted)
    return asked


def lose_answer(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """MLflow does what it is asked the so-many-th time, and we do not hear of it."""
    method, asked = getattr(MlflowClient, name), []

    def lost(*given: Any, **named: Any) -> Any:
        answer = method(*given, **named)
        asked.append(given)
        if len(asked) == number:
            raise ConnectionError("Connection reset by peer")
        return answer

    monkeypatch.setattr(MlflowClient, name, lost)


@pytest.mark.parametrize("name", ["create_run", "log_batch", "set_terminated"])
def test_a_lost_answer_costs_one_look_at_its_stage(
    home: Home, monkeypatch: pytest.MonkeyPatch, looks: list[str | None], name: str
):
    """And one at all runs at the end, since who loses an answer may have lost more."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.01)
    plan, store = finished(home)
    made: list[Any] = []

    def make() -> Any:
        made.append(make_tracker(plan, store, home, "abc"))
        lose_answer(monkeypatch, name, number=2)
        return made[-1]

    tracking = BackgroundTracking(make)
    for stage in plan.stages.values():
        tracking.add(stage)
    while made == [] or made[0].found.finished != set(plan.stages):
        assert tracking._thread.is_alive()
        time.sleep(0.01)
    assert looks == [None, [*plan.stages][1]]
    tracking.close("FINISHED", hurry=False)
    assert (len(made), looks[2:], tracking.problem) == (1, [None, None], None)
    for stage in plan.stages.values():
        (run,) = runs_of(made[0], stage)
        assert run.info.status == "FINISHED"
        assert runs_of(made[0], stage, deleted=True) == []


def test_a_lost_answer_doubles_no_point_of_a_running_fit(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    """Its points came through, and are sent once more."""
    fit = LiveFit(home)
    fit.attempt(1000.0)
    tracker = fit.tracker()
    lose_answer(monkeypatch, "log_batch", number=2)
    fit.tell(4.0)
    tracker.show([fit.stage])
    fit.tell(3.0)
    with pytest.raises(ConnectionError):
        tracker.show([fit.stage])
    fit.tell(2.0)
    tracker.show([fit.stage])
    assert shown(tracker, fit.stage, "RUNNING") == fit.told
    assert runs_of(tracker, fit.stage, deleted=True) == []


def test_a_run_that_a_user_deletes_while_its_fit_runs_is_made_again(home: Home):
    """With all epochs, and nothing is refused."""
    fit = LiveFit(home)
    fit.attempt(1000.0)
    tracker = fit.tracker()
    fit.tell(4.0)
    tracker.show([fit.stage])
    (run,) = runs_of(tracker, fit.stage)
    tracker.client.delete_run(run.info.run_id)
    fit.tell(3.0)
    tracker.show([fit.stage])
    assert (shown(tracker, fit.stage, "RUNNING"), tracker.refused) == (fit.told, {})


def test_runs_that_were_lost_are_written_again_before_the_end(home: Home, tmp_path: Path):
    """A server came back with an older database: the sweep's own run is gone, too."""
    plan, store = finished(home)
    tracker = make_tracker(plan, store, home, "1a2b3c4")
    tracker.write_all()
    stage = plan.trials[0].score
    for run_id in (tracker.found.parent_id, tracker.found.run_ids[stage.id]):
        tracker.client.delete_run(run_id)
    tracker.look()
    assert tracker.behind() == [stage]
    tracker.write_all()
    tracker.close("FINISHED")
    assert export(home.tracking_uri, "late", tmp_path / "export").missing == ()
    assert synchronise(plan, store, home, "1a2b3c4") == len(plan.stages)


@pytest.mark.parametrize(
    ("error", "times_made"),
    [
        (MlflowException("No Experiment", error_code=RESOURCE_DOES_NOT_EXIST), 2),
        (MlflowException("database is locked"), 1),
        (ConnectionError("refused"), 1),
    ],
    ids=["gone", "locked", "refused"],
)
def test_what_is_known_goes_only_with_what_it_was_known_of(
    monkeypatch: pytest.MonkeyPatch, error: Exception, times_made: int
):
    """Another database took the place of the one in which the experiment was found."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.01)
    made: list[Any] = []
    errors = [error]

    class Server:
        """Takes a stage the second time."""

        refused: dict[str, str] = {}  # noqa: RUF012
        behind: Callable[[], list[Stage]] = list
        look = close = staticmethod(lambda *given: None)

        def write(self, stage: Stage, following: Sequence[Stage]) -> None:
            if errors:
                raise errors.pop()

    def make() -> Any:
        made.append(1)
        return Server()

    tracking = BackgroundTracking(make)
    tracking.add(Stage(kind=NOOP, config={}))
    while tracking._unsent:
        assert tracking._thread.is_alive()
        time.sleep(0.01)
    tracking.close("FINISHED", hurry=False)
    assert (len(made), tracking.problem) == (times_made, None)
