"""Whether MLflow holds a sweep is asked of MLflow itself, so no lost database is believed in."""

from pathlib import Path

import mlflow
import pytest

from osr_core.identity import digest
from sweeps.home import Home
from sweeps.planning.record import plan_record
from sweeps.store.store import Store
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.completeness import is_held, plan_held
from sweeps.tracking.database import make_database
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tags import HELD
from sweeps.tracking.tracker import make_tracker
from tests.sweeps.tracking.test_arrival import finished

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=["file", "server"])
def homes(home: Home, request: pytest.FixtureRequest) -> tuple[Home, Home]:
    """A home whose database is its own, and the same seen as one that goes through MLflow."""
    return home, home if request.param == "file" else Home(home.root, tracking=home.tracking_uri)


def test_a_sweep_is_held_once_all_of_it_is_there(homes: tuple[Home, Home]):
    """Not while something is missing, nor while another plan of its name is being written."""
    home, seen = homes
    plan, store = finished(home)
    assert plan_held(seen, store, "late") is None
    make_tracker(plan, store, home, "abc")
    assert not plan_held(seen, store, "late")
    synchronise(plan, store, home, "abc")
    assert plan_held(seen, store, "late") == digest(plan_record(plan, "abc"))
    make_tracker(plan, store, home, "def")
    assert not plan_held(seen, store, "late")


def test_a_deleted_experiment_is_not_held(homes: tuple[Home, Home]):
    """Until it is restored."""
    home, seen = homes
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    client.delete_experiment(experiment.experiment_id)
    assert plan_held(seen, store, "late") is None
    client.restore_experiment(experiment.experiment_id)
    assert plan_held(seen, store, "late") == experiment.tags[HELD]


@pytest.mark.parametrize("kind", ["score", "fit", "sweep"])
def test_a_sweep_is_not_held_once_a_run_of_it_was_deleted(homes: tuple[Home, Home], kind: str):
    """Users delete runs in MLflow's pages, and the next `osr run` must bring them back."""
    home, seen = homes
    plan, store = finished(home)
    record = plan_record(plan, "abc")
    synchronise(plan, store, home, "abc")
    assert is_held(seen, store, record, [])
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    run = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")[0]
    client.delete_run(run.info.run_id)
    assert not is_held(seen, store, record, [])
    synchronise(plan, store, home, "abc")
    assert is_held(seen, store, record, [])


def test_a_lost_database_holds_nothing_though_another_took_its_place(home: Home):
    """Another sweep of the home was run since."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    home.database.unlink()
    assert plan_held(home, store, "late") is None
    make_database(home.tracking_uri)
    assert plan_held(home, store, "late") is None


def test_a_sweep_with_damage_is_not_held(homes: tuple[Home, Home]):
    """It was found on the way to MLflow, after the sweep was thought to be complete."""
    home, seen = homes
    plan, store = finished(home)
    score = plan.trials[0].score
    (path,) = (home.root / "store/stages" / score.id[:2] / score.id).glob("scores-*.parquet")
    path.write_bytes(b"PAR1")
    tracking = BackgroundTracking(lambda: make_tracker(plan, store, home, "abc"))
    tracking.close("FINISHED", hurry=False)
    assert store.to_make_again(plan.stages) == {score.id}
    assert not plan_held(seen, store, "late")
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    assert run.info.status == "FAILED"
    make_tracker(plan, store, home, "abc")
    assert client.get_run(run.info.run_id).info.status == "RUNNING"  # somebody tries again


def test_a_server_that_is_not_there_holds_nothing(tmp_path: Path):
    """The launch goes on, and says that it does not answer."""
    store = Store(tmp_path / "store")
    store.identify()
    assert plan_held(Home(tmp_path, tracking="http://127.0.0.1:9"), store, "late") is None
