"""A home is a folder that may be moved, copied and mounted elsewhere with all that is in it."""

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service import utils
from typer.testing import CliRunner

from sweeps.commands.app import app
from sweeps.home import Home
from sweeps.planning.record import plan_record
from sweeps.store.store import Store
from sweeps.tracking.completeness import is_held
from sweeps.tracking.database_file import take_along
from sweeps.tracking.synchronise import synchronise
from tests.sweeps.tracking.test_arrival import finished

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def remember_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow remembers where a run's files lie; each command here stands for a new process."""
    monkeypatch.setattr(utils, "_artifact_repos_cache", Forgetful())


class Forgetful(dict[str, object]):
    """Keeps nothing."""

    def __setitem__(self, key: str, value: object) -> None:
        """Drop it."""


def addresses(home: Home) -> list[str]:
    """Where MLflow says that the files of the sweep and of its runs lie."""
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    runs = client.search_runs([experiment.experiment_id])
    return [experiment.artifact_location, *(run.info.artifact_uri for run in runs)]


def test_a_moved_home_is_exported(home: Home, tmp_path: Path):
    """Its runs' files came along; nothing is made where the home was."""
    plan, store = finished(home)
    store.save_sweep("late", plan_record(plan, "abc"))
    synchronise(plan, store, home, "abc")
    elsewhere = Home(tmp_path / "mount" / "a home")
    elsewhere.root.parent.mkdir()
    home.root.rename(elsewhere.root)
    done = CliRunner().invoke(app, ["export", "late", "--home", str(elsewhere.root)])
    assert done.exit_code == 0, done.output
    assert all(each.startswith(f"{elsewhere.artifact_uri}/") for each in addresses(elsewhere))
    synchronise(plan, Store(elsewhere.store), elsewhere, "abc")
    assert not home.root.exists()


def test_a_copied_home_leaves_the_original_alone(home: Home, tmp_path: Path):
    """What is made anew in the copy is written there."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    before = sorted(home.root.rglob("*"))
    score = plan.trials[0].score
    client = mlflow.MlflowClient(copy.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    runs = client.search_runs([experiment.experiment_id], f"tags.stage_id = '{score.id}'")
    client.delete_run(runs[0].info.run_id)
    assert synchronise(plan, Store(copy.store), copy, "abc") == len(plan.stages)
    assert sorted(home.root.rglob("*")) == before
    assert all(each.startswith(f"{home.artifact_uri}/") for each in addresses(home))


def test_addresses_outside_any_home_stay(home: Home, tmp_path: Path):
    """A user may keep an experiment's files in a bucket, or beside the home."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    client = mlflow.MlflowClient(home.tracking_uri)
    own = client.create_experiment("own", artifact_location="s3://bucket/mlflow/own")
    moved = Home(tmp_path / "moved")
    home.root.rename(moved.root)
    take_along(moved)
    client = mlflow.MlflowClient(moved.tracking_uri)
    assert client.get_experiment(own).artifact_location == "s3://bucket/mlflow/own"
    assert addresses(moved)[0] == f"{moved.artifact_uri}/late"


def test_runs_whose_files_are_gone_are_drawn_again_from_the_store(home: Home):
    """As where a home was copied without them, to save room."""
    plan, store = finished(home)
    record = plan_record(plan, "abc")
    synchronise(plan, store, home, "abc")
    assert is_held(home, store, record, [])
    shutil.rmtree(home.root / "mlflow" / "artifacts")
    assert not is_held(home, store, record, [])
    assert synchronise(plan, store, home, "abc") == len(plan.stages)
    assert is_held(home, store, record, [])
    assert len(list((home.root / "mlflow").rglob("scores.parquet"))) == len(plan.trials)
