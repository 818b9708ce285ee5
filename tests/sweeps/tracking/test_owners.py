"""An experiment in MLflow belongs to one store; a second one of its name never touches it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from rich.console import Console
from typer.testing import CliRunner

from analysis.exports.mlflow_runs import ExportError
from analysis.exports.write import export
from osr_core.errors import ConfigError
from osr_core.identity import digest
from sweeps.commands.app import app
from sweeps.commands.run import is_exported
from sweeps.home import Home
from sweeps.launch.state import Launch
from sweeps.planning.record import plan_record
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from sweeps.tracking.completeness import plan_held
from sweeps.tracking.experiment import begin_sweep_run
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tags import BY, REASON, STORE, experiment_names
from tests.sweeps.tracking.test_arrival import finished

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def team(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Home]:
    """Homes of users who share one MLflow, by name."""
    monkeypatch.chdir(tmp_path)  # MLflow itself would put files into the working directory
    return lambda name: Home(tmp_path / name, tracking=home.tracking_uri)


@pytest.fixture
def client(home: Home) -> MlflowClient:
    """Of the MLflow that they share."""
    return MlflowClient(home.tracking_uri)


def tracked(home: Home, **spec: str) -> Store:
    """The store of a user whose sweep "late" is done and in MLflow."""
    plan, store = finished(home, **spec)
    store.save_sweep("late", plan_record(plan, "1a2b3c4"))
    assert synchronise(plan, store, home, "1a2b3c4") == len(plan.stages)
    return store


def contents(client: MlflowClient, name: str) -> list[Any]:
    """All that an experiment holds."""
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    return [experiment.tags, *(sorted((run.info.run_id, str(run.data)) for run in runs))]


def protocols(folder: Path) -> set[str]:
    """What an export says of its rows."""
    return set(pq.read_table(folder / "runs.parquet")["protocol"].to_pylist())


def test_a_sweeps_own_run_says_who_runs_it_and_what_for(home: Home, client: MlflowClient):
    """The latest one; an `osr sync`, which runs nothing, changes neither."""
    plan, _ = finished(home)
    experiment_id = client.create_experiment("told")
    anna, ben = {"by": "anna@laptop", "reason": "Table 2"}, {"by": "ben@desk", "reason": None}
    run_id = begin_sweep_run(client, plan, experiment_id, "", anna)
    for holder, by, reason in (
        (anna, "anna@laptop", "Table 2"),
        ({"host": "desk"}, "anna@laptop", "Table 2"),
        (ben, "ben@desk", ""),
    ):
        assert begin_sweep_run(client, plan, experiment_id, run_id, holder) == run_id
        tags = client.get_run(run_id).data.tags
        assert (tags[BY], tags[REASON]) == (by, reason)


def test_two_stores_with_one_name_have_an_experiment_each(
    team: Callable[[str], Home], client: MlflowClient, tmp_path: Path
):
    """Two users call their sweeps alike on a team's server; neither sees the other's numbers."""
    ours, theirs = team("ours"), team("theirs")
    first = tracked(ours, protocol="osrci")
    before = contents(client, "late")
    second = tracked(theirs, protocol="cac")
    assert contents(client, "late") == before
    assert experiment_names("late", str(second.id)) == ("late", f"late ({str(second.id)[:8]})")
    owners = {each.name: each.tags.get(STORE) for each in client.search_experiments()}
    owners.pop("Default")
    assert owners == {"late": first.id, f"late ({str(second.id)[:8]})": second.id}
    for store, protocol in ((first, "osrci"), (second, "cac")):
        export(ours.tracking_uri, "late", tmp_path / protocol, store=store.id)
        assert protocols(tmp_path / protocol) == {protocol}
    for home, store, protocol in ((ours, first, "osrci"), (theirs, second, "cac")):
        plan, _ = finished(home, protocol=protocol)
        assert plan_held(home, store, "late") == digest(plan_record(plan, "1a2b3c4"))
    tracked(theirs, protocol="cac")
    assert len(client.search_experiments()) == 3


def test_the_commands_find_the_experiment_of_their_home(
    team: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch
):
    """`osr sync` and `osr export` as the second user types them."""
    tracked(team("ours"), protocol="osrci")
    theirs = team("theirs")
    plan, store = finished(theirs, protocol="cac")
    store.save_sweep("late", plan_record(plan, "1a2b3c4"))
    monkeypatch.setenv("OSR_TRACKING_URI", theirs.tracking_uri)
    place = ["late", "--home", str(theirs.root)]
    for _ in range(2):  # before the store has an id, and with one
        refused = CliRunner().invoke(app, ["export", *place]).exception
        assert isinstance(refused, ConfigError)
        assert "belongs to another store than this home's. `osr sync late`" in str(refused)
        store.identify()
    for command in ("sync", "export"):
        done = CliRunner().invoke(app, [command, *place])
        assert done.exit_code == 0, done.output
    assert protocols(theirs.export("late")) == {"cac"}
    folder = theirs.root.parent / "without a store"
    done = CliRunner().invoke(app, ["export", "late", "--home", str(folder)])
    assert protocols(folder / "exports" / "late") == {"osrci"}, "a reader takes that of the name"


def test_an_export_of_another_store_is_not_taken_for_ones_own(
    team: Callable[[str], Home], tmp_path: Path
):
    """Two buckets, one home: equal sweeps have equal trials, and one folder for their exports."""
    homes = [team("ours"), team("theirs")]
    stores = [tracked(home) for home in homes]
    plan, _ = finished(homes[0])
    shared = homes[0]
    at = (shared, None, Console(quiet=True), Fence("late", 1), None)
    launches = [Launch(plan, store, *at) for store in stores]
    for _ in range(2):
        for launch in launches:
            folder = shared.export("late")
            export(shared.tracking_uri, "late", folder, store=launch.store.id)
            assert [is_exported(each) for each in launches] == [each is launch for each in launches]
    with pytest.raises(ExportError, match="holds another store's results; leave out --since"):
        export(shared.tracking_uri, "late", folder, datetime.now(), store=stores[0].id)


def forget_owner(client: MlflowClient, name: str) -> str:
    """Make an experiment one of a version before; gives its id."""
    experiment_id = client.get_experiment_by_name(name).experiment_id
    client.delete_experiment_tag(experiment_id, STORE)
    return str(experiment_id)


def test_an_experiment_of_a_version_before_is_adopted_by_its_store(
    team: Callable[[str], Home], client: MlflowClient, tmp_path: Path
):
    """No run is made anew; before that it can be exported."""
    store = tracked(team("ours"))
    experiment_id = forget_owner(client, "late")
    export(team("ours").tracking_uri, "late", tmp_path / "export", store=store.id)
    before = {run.info.run_id for run in client.search_runs([experiment_id])}
    tracked(team("ours"))
    experiment = client.get_experiment_by_name("late")
    assert (str(experiment.experiment_id), experiment.tags[STORE]) == (experiment_id, store.id)
    assert {run.info.run_id for run in client.search_runs([experiment_id])} == before


def test_an_experiment_of_a_version_before_is_not_taken_by_another_store(
    team: Callable[[str], Home], client: MlflowClient
):
    """Equal plans have equal ids, but this store has not made what the experiment shows."""
    tracked(team("ours"))
    forget_owner(client, "late")
    before = contents(client, "late")
    theirs = team("theirs")
    plan, _ = finished(team("ours"))
    store = Store(theirs.store)
    assert synchronise(plan, store, theirs, "1a2b3c4") == 0
    assert contents(client, "late") == before
    assert client.get_experiment_by_name(f"late ({str(store.id)[:8]})").tags[STORE] == store.id


def test_an_empty_experiment_of_the_name_is_used(team: Callable[[str], Home], client: MlflowClient):
    """A user has made it, or a driver that died at once."""
    experiment_id = client.create_experiment("late")
    store = tracked(team("ours"))
    experiment = client.get_experiment_by_name("late")
    assert (experiment.experiment_id, experiment.tags[STORE]) == (experiment_id, store.id)


def test_of_two_that_make_the_experiment_at_once_one_has_it(
    team: Callable[[str], Home], client: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    """The other driver makes it between the look and the creation."""
    create = MlflowClient.create_experiment

    def late(self: MlflowClient, name: str, **given: Any) -> str:
        if name == "late":
            create(self, name, tags={STORE: "other"})
        return str(create(self, name, **given))

    monkeypatch.setattr(MlflowClient, "create_experiment", late)
    store = tracked(team("ours"))
    assert client.get_experiment_by_name("late").tags[STORE] == "other"
    own = client.get_experiment_by_name(f"late ({str(store.id)[:8]})")
    assert own.tags[STORE] == store.id
