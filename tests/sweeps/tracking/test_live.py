"""A running fit's curves are in MLflow, and none of their points ever twice."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlflow
import pytest

from osr_core.kinds import NOOP
from osr_core.stage import Stage
from osr_core.training import Fit
from sweeps.home import Home
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running import stage_log
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.leases import Fence, FencedError
from sweeps.store.store import Store
from sweeps.tracking import background
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tags import NOTE
from sweeps.tracking.tracker import make_tracker
from tests.sweeps.running.test_stopped_stages import SPEC
from tests.sweeps.tracking.live import LiveFit, runs_of, shown

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def fit(home: Home) -> LiveFit:
    """Its first attempt has begun."""
    made = LiveFit(home)
    made.attempt(1000.0)
    return made


def test_a_running_fit_shows_its_epochs_and_keeps_them_when_it_is_done(fit: LiveFit):
    """One run from the first epoch to the end; its points carry the same times all along."""
    tracker = fit.tracker()
    tracker.show([fit.stage])
    assert runs_of(tracker, fit.stage) == []
    for losses in ((4.0, 3.0), (), (2.0,)):
        fit.tell(*losses)
        tracker.show([fit.stage])
        assert shown(tracker, fit.stage, "RUNNING") == fit.told
    (run,) = runs_of(tracker, fit.stage)
    assert run.info.start_time == 1_000_000
    assert (run.data.params["method"], "not finished yet" in run.data.tags[NOTE]) == (
        "softmax",
        True,
    )
    fit.tell(1.0)
    fit.commit()
    tracker.write(fit.stage)
    assert shown(tracker, fit.stage, "FINISHED") == fit.told
    assert [each.info.run_id for each in runs_of(tracker, fit.stage)] == [run.info.run_id]
    assert runs_of(tracker, fit.stage, deleted=True) == []


@pytest.mark.parametrize("again", [False, True], ids=["same driver", "next driver"])
def test_an_attempt_that_repeats_epochs_takes_the_place_of_the_one_before(
    fit: LiveFit, again: bool
):
    """It was killed after three epochs and goes on from a checkpoint of two, at other times."""
    tracker = fit.tracker()
    fit.tell(4.0, 3.0, 2.0)
    tracker.show([fit.stage])
    (before,) = runs_of(tracker, fit.stage)
    fit.attempt(2000.0, keeping=2)
    tracker = fit.tracker() if again else tracker
    tracker.show([fit.stage])  # the note of the first attempt stays until the second has an epoch
    fit.tell(2.0)
    tracker.show([fit.stage])
    assert shown(tracker, fit.stage, "RUNNING") == fit.told
    assert [time for _, time, _ in fit.told] == [1_001_000, 1_002_000, 2_003_000]
    fit.tell(1.0)
    fit.commit()
    tracker.write(fit.stage)
    assert shown(tracker, fit.stage, "FINISHED") == fit.told
    (gone,) = runs_of(tracker, fit.stage, deleted=True)
    assert gone.info.run_id == before.info.run_id


def test_the_next_driver_goes_on_with_the_run_of_an_attempt_that_has_ended(fit: LiveFit):
    """The driver died between the commit and MLflow; the run shows just that attempt."""
    fit.tell(4.0, 3.0)
    tracker = fit.tracker()
    tracker.show([fit.stage])
    (before,) = runs_of(tracker, fit.stage)
    fit.tell(2.0, 1.0)
    fit.commit()
    tracker = fit.tracker()
    assert tracker.behind() == [fit.stage]
    tracker.write_all()
    assert shown(tracker, fit.stage, "FINISHED") == fit.told
    assert [run.info.run_id for run in runs_of(tracker, fit.stage)] == [before.info.run_id]


def test_a_fit_that_was_stopped_does_not_run_on_in_mlflow(fit: LiveFit):
    """Its curve stays until it goes on."""
    fit.tell(4.0, 3.0)
    tracker = fit.tracker()
    tracker.show([fit.stage])
    tracker.close("KILLED")
    assert shown(tracker, fit.stage, "KILLED") == fit.told
    tracker = fit.tracker()
    assert shown(tracker, fit.stage, "KILLED") == fit.told
    fit.attempt(2000.0, keeping=2)
    fit.tell(2.0)
    tracker.show([fit.stage])
    assert shown(tracker, fit.stage, "RUNNING") == fit.told


def test_a_failed_fit_keeps_its_curve(fit: LiveFit, home_at: Callable[[str], Home]):
    """It shows how the loss was lost; a database made anew shows the same."""
    tracker = fit.tracker()
    fit.tell(4.0, 3e9)
    tracker.show([fit.stage])
    fit.store.attempts.save_failure(fit.stage.id, "the loss is lost", "Traceback ...")
    tracker.write(fit.stage)
    assert shown(tracker, fit.stage, "FAILED") == fit.told
    assert runs_of(tracker, fit.stage, deleted=True) == []
    (run,) = runs_of(tracker, fit.stage)
    tracker = fit.tracker()
    tracker.show([fit.stage])  # the next launch tries again, and has no epoch yet
    assert shown(tracker, fit.stage, "FAILED") == fit.told
    other = home_at("other")
    synchronise(fit.plan, fit.store, other, "abc")
    anew = make_tracker(fit.plan, fit.store, other, "abc")
    assert shown(anew, fit.stage, "FAILED") == fit.told
    (drawn,) = runs_of(anew, fit.stage)
    assert (drawn.info.start_time, drawn.info.end_time) == (run.info.start_time, run.info.end_time)


def test_a_driver_that_was_taken_over_shows_nothing_more(fit: LiveFit):
    """The other one's worker has begun the fit anew."""
    fence = Fence("live", 1)
    fit.store.leases.create("live", 1, {"pid": 1, "host": "here"})
    tracker = make_tracker(fit.plan, fit.store, fit.home, "abc", fence=fence)
    fit.store.leases.create("live", 2, {"pid": 2, "host": "there"})
    fit.tell(4.0)
    with pytest.raises(FencedError, match="process 2 on there"):
        tracker.show([fit.stage])
    assert runs_of(tracker, fit.stage) == []


def test_a_note_that_cannot_be_read_stops_nothing(fit: LiveFit, home: Home):
    """Nor does one of a version that told of no numbers."""
    note = home.root / "store" / "work" / f"{fit.stage.id}.progress"
    note.parent.mkdir()
    tracker = fit.tracker()
    for content in ("{", '{"epochs_done": 3, "num_epochs": 4}'):
        note.write_text(content)
        tracker.show([fit.stage])
    assert runs_of(tracker, fit.stage) == []


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers and the driver's thread do not wait."""
    monkeypatch.setattr(stage_log, "EVERY_S", 0.02)
    monkeypatch.setattr(background, "SHOW_EVERY_S", 0.02)


@pytest.mark.usefixtures("hasty")
def test_a_user_sees_the_first_epoch_while_the_second_runs(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    """A real worker, the driver's tracking thread, and a look at MLflow from outside."""
    plan, store = plan_with_data(parse_spec(SPEC, "small"), None), Store(home.store)
    stage = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    tracking = BackgroundTracking(lambda: make_tracker(plan, store, home, "abc"))
    client, one_epoch = mlflow.MlflowClient(home.tracking_uri), Fit.one_epoch
    seen: list[Any] = []

    def look() -> list[Any]:
        experiment = client.get_experiment_by_name("small")
        asked = f"tags.stage_id = '{stage.id}'"
        return list(client.search_runs([experiment.experiment_id], asked)) if experiment else []

    def watched(fit: Fit) -> dict[str, float]:
        deadline = time.monotonic() + 60
        while fit.progress.epoch and not seen and time.monotonic() < deadline:
            seen.extend(run for run in look() if "train/cross_entropy" in run.data.metrics)
        return one_epoch(fit)

    monkeypatch.setattr(Fit, "one_epoch", watched)
    tracking.started(stage)
    place = Workplace(store=store.uri, data_root=None)
    assert work(stage.id, {stage.id: stage.identity}, place).cause is None
    tracking.add(stage)
    tracking.close("FAILED", hurry=False)
    assert [run.info.status for run in seen] == ["RUNNING"]
    (run,) = look()
    assert (run.info.status, run.info.run_id) == ("FINISHED", seen[0].info.run_id)
    for name in run.data.metrics.keys() & {"train/cross_entropy", "lr", "wall_s"}:
        points = client.get_metric_history(run.info.run_id, name)
        assert sorted(point.step for point in points) == [1, 2, 3], name
    assert tracking.problem is None


def test_only_stages_that_run_are_shown(monkeypatch: pytest.MonkeyPatch):
    """From when they begin until they end, however often they are begun; without one, none."""
    monkeypatch.setattr(background, "SHOW_EVERY_S", 0.01)
    first, second = (Stage(kind=NOOP, config={"number": number}) for number in range(2))

    class Server:
        """Notes which stages it is asked to show."""

        refused: dict[str, str] = {}  # noqa: RUF012
        shown: list[list[Stage]] = []  # noqa: RUF012

        def show(self, stages: list[Stage]) -> None:
            self.shown.append(stages)

        def write(self, stage: Stage, following: Sequence[Stage]) -> None:
            """It has ended."""

        def behind(self) -> list[Stage]:
            return []

        def close(self, status: str) -> None:
            """It has ended."""

    def wait_for(stages: list[Stage]) -> None:
        server.shown.clear()
        deadline = time.monotonic() + 60
        while stages not in server.shown and time.monotonic() < deadline:
            time.sleep(0.005)
        assert stages in server.shown

    server = Server()
    tracking = BackgroundTracking(lambda: server)  # type: ignore[arg-type, return-value]
    tracking.started(first)
    wait_for([first])
    tracking.started(second)
    tracking.started(first)  # once more: its attempt came to nothing
    wait_for([first, second])
    tracking.add(first)
    wait_for([second])
    tracking.add(second)
    tracking.close("FINISHED", hurry=False)
    assert tracking.problem is None
