"""MLflow as a picture of the store, without a cluster."""

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from analysis.exports.schema import METRICS
from analysis.exports.write import export
from osr_core.tables import HISTORY_SCHEMA, SCORES_SCHEMA
from sweeps.commands.app import app
from sweeps.home import Home
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from sweeps.store.leases import Fence, FencedError
from sweeps.store.store import Store
from sweeps.tracking.completeness import plan_held, state_of
from sweeps.tracking.errors import TrackingError
from sweeps.tracking.synchronise import synchronise
from sweeps.tracking.tags import ARRIVED
from sweeps.tracking.tracker import make_tracker

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SPEC = {"name": "late", "datasets": ["digits"], "splits": [0, 1], "methods": {"softmax": {}}}
FILES = ("runs.parquet", "history.parquet", "scores.parquet")


def parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    """A file's bytes."""
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), content)
    return content.getvalue()


def scores() -> bytes:
    """Of one test image."""
    image = {"image_id": "digits/test/1", "label": 0, "predicted": 0, "unknown_score": 0.1}
    return parquet([{**image, "logits": [1.0]}], SCORES_SCHEMA)


def finished(home: Home, **changed: Any) -> tuple[Plan, Store]:
    """A sweep of two trials, all of it on the store and nothing in MLflow."""
    spec = parse_spec({**SPEC, **changed}, "late")
    plan = make_plan(spec, {"digits/train": "-", "digits/test": "-"})
    store = Store(home.store)
    epoch = {"epoch": 1, "metric": "loss", "value": 0.5}
    left = {
        "fit": {"history.parquet": parquet([epoch], HISTORY_SCHEMA)},
        "score": {"scores.parquet": scores()},
    }
    metrics = {f"test/{name}": 0.5 for name in METRICS}
    for stage in plan.stages.values():
        store.commit(
            stage.id,
            stage.identity,
            left[stage.kind.name],
            metrics,
            started_at=1.0,
            wall_s=1.0,
            host="here",
        )
    return plan, store


def test_since_goes_by_when_a_run_reached_mlflow(home: Home, tmp_path: Path) -> None:
    """What `osr sync` brings late ended long before; it is new in MLflow all the same."""
    plan, store = finished(home)
    first, second = plan.trials
    tracker = make_tracker(plan, store, home, "1a2b3c4")
    for stage in first.score.walk():
        tracker.write(stage)
    assert export(home.tracking_uri, "late", home.export("late")).num_finished == 1
    moment = datetime.now()
    assert store.read_commit(second.id).finished_at < moment.timestamp()
    synchronise(plan, store, home, "1a2b3c4")
    made = export(home.tracking_uri, "late", home.export("late"), since=moment)
    whole = export(home.tracking_uri, "late", tmp_path / "whole")
    assert made.missing == ()
    for name in FILES:
        assert (made.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_run_is_complete_once_it_says_when_it_arrived(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one whose driver died just before would be passed over by every `--since`."""
    plan, store = finished(home)
    log_metric = mlflow.MlflowClient.log_metric
    asked = []

    def lost(client: Any, *given: Any) -> None:
        asked.append(given)
        if len(asked) == 1:
            raise OSError("gone")
        log_metric(client, *given)

    monkeypatch.setattr(mlflow.MlflowClient, "log_metric", lost)
    with pytest.raises(TrackingError, match="gone"):
        synchronise(plan, store, home, "1a2b3c4")
    assert synchronise(plan, store, home, "1a2b3c4") == len(plan.stages)
    synchronise(plan, store, home, "1a2b3c4")
    assert len(asked) == 1 + len(plan.stages)
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    runs = client.search_runs([experiment.experiment_id], "tags.kind != 'sweep'")
    assert [ARRIVED in run.data.metrics for run in runs] == [True] * len(plan.stages)


def test_a_request_that_came_through_late_leaves_no_second_run(home: Home):
    """The client gave up waiting and asked again; at the end there is one run of each stage."""
    plan, store = finished(home)
    tracker = make_tracker(plan, store, home, "abc")
    for stage in plan.stages.values():
        tracker.write(stage)
        tags = {"stage_id": stage.id, "kind": stage.kind.name}
        tracker.client.create_run(tracker.experiment_id, tags=tags)
    tracker.client.create_run(tracker.experiment_id, tags={"kind": "sweep"}, start_time=1)
    tracker.close("FINISHED")
    runs = tracker.found.all_runs()
    assert len(runs) == len(plan.stages) + 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert tracker.found.parent_id in {run.info.run_id for run in runs}


def test_runs_that_a_user_made_stay(home: Home):
    """Two in the sweep's experiment, by hand."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    tracker = make_tracker(plan, store, home, "abc")
    own = {tracker.client.create_run(tracker.experiment_id).info.run_id for _ in range(2)}
    assert synchronise(plan, store, home, "abc") == len(plan.stages)
    assert own <= {run.info.run_id for run in tracker.found.all_runs()}


def test_a_finished_run_is_replaced_when_its_stage_fails(home: Home):
    """Its result was damaged, and could not be made again."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    stage = plan.trials[0].score
    (path,) = (home.root / "store/stages" / stage.id[:2] / stage.id).glob("scores-*.parquet")
    path.unlink()
    store.set_aside(stage.id)
    store.attempts.save_failure(stage.id, "bad luck", "Traceback ...")
    tracker = make_tracker(plan, store, home, "abc")
    assert tracker.behind() == [stage]
    tracker.write_all()
    assert tracker.behind() == []
    (run,) = [run for run in tracker.found.all_runs() if run.data.tags.get("stage_id") == stage.id]
    assert (run.info.status, run.data.metrics) == ("FAILED", {})


def test_a_result_that_was_made_anew_takes_the_place_of_the_old_run(home: Home):
    """Also where MLflow was away meanwhile: it does not count as holding the sweep."""
    plan, store = finished(home)
    synchronise(plan, store, home, "abc")
    held = plan_held(home, store, "late")
    score = plan.trials[0].score
    store.withdraw([score.id])
    left = {"scores.parquet": scores()}, {f"test/{name}": 0.25 for name in METRICS}
    store.commit(score.id, score.identity, *left, started_at=2.0, wall_s=1.0, host="here")
    state = state_of(plan_record(plan, "abc"), store.aside(plan.stages))
    assert held != state
    for _ in range(2):  # the second time nothing is left to do
        synchronise(plan, store, home, "abc")
        assert plan_held(home, store, "late") == state
        tracker = make_tracker(plan, store, home, "abc")
        runs = [run for run in tracker.found.all_runs() if run.data.tags.get("stage_id")]
        assert len(runs) == len(plan.stages)
        (run,) = [run for run in runs if run.data.tags["stage_id"] == score.id]
        assert run.data.metrics["test/auroc"] == 0.25


def test_a_driver_that_was_taken_over_writes_nothing(home: Home):
    """What it does not know of, the other driver has written."""
    plan, store = finished(home)
    store.leases.create("late", 1, {"pid": 1, "host": "here"})
    tracker = make_tracker(plan, store, home, "abc", fence=Fence("late", 1))
    tracker.write(next(iter(plan.stages.values())))
    store.leases.create("late", 2, {"pid": 2, "host": "there"})
    with pytest.raises(FencedError, match="process 2 on there"):
        tracker.close("KILLED")
    with pytest.raises(FencedError, match="process 2 on there"):
        tracker.open()  # it would overwrite the plan that an export goes by
    runs = tracker.found.all_runs()
    assert len(runs) == 2
    assert {run.info.status for run in runs if "stage_id" not in run.data.tags} == {"RUNNING"}


def test_a_run_whose_stage_left_the_plan_does_not_run_on(home: Home):
    """Its driver died on the way to MLflow, and the code changed before the next one."""
    plan, store = finished(home)
    tracker = make_tracker(plan, store, home, "abc")
    tags = {"stage_id": "3f" * 16, "kind": "fit"}
    orphan = tracker.client.create_run(tracker.experiment_id, tags=tags).info.run_id
    synchronise(plan, store, home, "abc")
    status = {run.info.run_id: run.info.status for run in tracker.found.all_runs()}
    assert status.pop(orphan) == "KILLED"
    assert set(status.values()) == {"FINISHED"}


def test_damage_that_sync_finds_is_said(home: Home):
    """The sweep is not finished then, and only `osr run` can mend it."""
    plan, store = finished(home)
    store.save_sweep("late", plan_record(plan, "abc"))
    score = plan.trials[0].score
    (path,) = (home.root / "store/stages" / score.id[:2] / score.id).glob("scores-*.parquet")
    path.write_bytes(b"PAR1")
    done = CliRunner().invoke(app, ["sync", "late", "--home", str(home.root)])
    assert done.exit_code == 1
    assert f"{len(plan.stages) - 1} of {len(plan.stages)} stages are in" in done.output
    assert f"damaged, to be made again by `osr run`: {plan.describe(score)}" in done.output
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    assert parent.info.status == "FAILED"
    assert not plan_held(home, store, "late")


def test_a_database_that_is_none_is_named(tmp_path: Path):
    """With what to do: the store has everything that it had."""
    home = Home(tmp_path / "none")
    plan, store = finished(home)
    home.database.parent.mkdir(parents=True)
    home.database.write_text("something else")
    with pytest.raises(TrackingError, match=r"mlflow\.db cannot be read: .*delete it"):
        synchronise(plan, store, home, "abc")


def test_a_run_that_is_refused_holds_up_no_other(home: Home):
    """MLflow takes no metric of that name; all other runs are written, and it is said."""
    plan, store = finished(home)
    first, *others = plan.stages.values()
    store.delete([f"stages/{first.id[:2]}/{first.id}"])
    store.commit(
        first.id, first.identity, {}, {"what?!": 1.0}, started_at=1.0, wall_s=1.0, host="here"
    )
    with pytest.raises(TrackingError, match=r"what\?!"):
        synchronise(plan, store, home, "abc")
    tracker = make_tracker(plan, store, home, "abc")
    assert tracker.found.finished == {stage.id for stage in others}
