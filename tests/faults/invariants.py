"""What must hold after each fault."""

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities import ViewType

from osr_core.tensors import from_bytes
from tests.faults.harness import NUM_EPOCHS, Sweep


def walls_of(history: list[dict[str, Any]]) -> list[float]:
    """The measured time of each epoch: no second attempt at an epoch repeats it."""
    return [row["value"] for row in history if row["metric"] == "wall_s"]


def saved_walls(sweep: Sweep) -> dict[str, list[float]]:
    """By stage id, the times of the epochs that its checkpoint holds."""
    attempts = sweep.store.attempts
    found = {file.stem: attempts.load_checkpoint(file.stem) for file in sweep.checkpoints}
    return {
        stage_id: [row["wall_s"] for row in from_bytes(saved.content)[1]["progress"]["history"]]
        for stage_id, saved in found.items()
        if saved is not None
    }


def check_resumed(sweep: Sweep, saved: Mapping[str, list[float]]) -> None:
    """Fits went on from their checkpoints; ones begun again would give the same weights."""
    assert any(saved.values()), "nothing was saved"
    for stage_id, walls in saved.items():
        done = walls_of(rows_of(sweep.store.read(stage_id, "history.parquet")))
        assert done[: len(walls)] == walls, f"{sweep.stages[stage_id]['label']} was begun again"
        assert len(done) == NUM_EPOCHS


def check_invariants(sweep: Sweep, reference: Sweep, *, clock: bool = True) -> None:
    """What must hold after every fault, once the sweep has been run to its end."""
    stages, commits = sweep.stages, sweep.commits
    assert stages.keys() <= commits.keys(), "a stage has no result"
    assert sweep.checkpoints == [], "a finished fit left its checkpoint"
    for stage in stages.values() if clock else ():
        begun = commits[stage["stage_id"]]["started_at"]
        for upstream in stage["inputs"]:
            assert committed_at(sweep, upstream) <= begun, (
                f"{stage['label']} was started before its input was committed"
            )
    check_results(sweep, reference)
    assert not list((sweep.home / "ray").rglob("error.pkl")), "a pickle that would be read back"
    check_mlflow(sweep, set(stages))
    for name in ("runs.parquet", "scores.parquet"):
        assert sweep.export(name) == reference.export(name), f"{name} differs"
    assert "| method" in reference.table
    assert sweep.table == reference.table


def committed_at(sweep: Sweep, stage_id: str) -> float:
    """When a stage's marker was written."""
    return (sweep.home / "store/stages" / stage_id[:2] / stage_id / "commit.json").stat().st_mtime


def check_results(sweep: Sweep, reference: Sweep) -> None:
    """Every artifact is whole, the only one of its stage, and as without faults but for times."""
    for stage_id, stage in sweep.stages.items():
        ours, theirs = sweep.store.read_all(stage_id), reference.store.read_all(stage_id)
        folder = sweep.home / "store" / "stages" / stage_id[:2] / stage_id
        assert len(list(folder.glob("[!.]*"))) == 1 + len(ours), "another attempt left something"
        names = (ours.keys() | theirs.keys()) - {"machine.parquet"}  # a short stage leaves none
        assert names <= ours.keys() & theirs.keys()
        for name in names:
            assert untimed(name, ours[name]) == untimed(name, theirs[name]), (
                f"{name} of {stage['label']} differs"
            )


def untimed(name: str, content: bytes) -> object:
    """An artifact without what a clock has measured."""
    if name != "history.parquet":
        return content
    return [row for row in rows_of(content) if row["metric"] != "wall_s"]


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of an artifact in Parquet."""
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def mlflow_runs(sweep: Sweep, view: int = ViewType.ACTIVE_ONLY) -> list[mlflow.entities.Run]:
    """The runs in the sweep's experiment."""
    client, experiment_id = mlflow_of(sweep)
    return list(client.search_runs([experiment_id], run_view_type=view, max_results=1000))


def mlflow_of(sweep: Sweep) -> tuple[mlflow.MlflowClient, str]:
    """A client, and the id of the sweep's experiment."""
    uri = sweep.environment.get("OSR_TRACKING_URI", f"sqlite:///{sweep.home}/mlflow/mlflow.db")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy about MLflow
        client = mlflow.MlflowClient(uri)
        return client, client.get_experiment_by_name("faults").experiment_id


def check_mlflow(sweep: Sweep, stage_ids: set[str]) -> None:
    """One finished run per stage, one for the sweep, each metric point once; none made twice."""
    client, _ = mlflow_of(sweep)
    runs = mlflow_runs(sweep)
    assert Counter(run.info.status for run in runs) == {"FINISHED": len(stage_ids) + 1}
    of_stages = Counter(run.data.tags.get("stage_id") for run in runs)
    assert of_stages == Counter([*stage_ids, None])
    deleted = mlflow_runs(sweep, ViewType.DELETED_ONLY)
    attempts = {(run.data.tags.get("stage_id"), run.info.start_time) for run in runs}
    gone = {(run.data.tags.get("stage_id"), run.info.start_time) for run in deleted}
    assert not attempts & gone, "a run was made twice and deleted"
    fits = [run for run in runs if run.data.tags["kind"] == "fit"]
    assert fits
    assert all("lr" in run.data.metrics for run in fits), "a fit has no history"
    for run in runs:
        for name in run.data.metrics:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
            assert len(set(steps)) == len(steps), f"a point of {name} is doubled"
            if name == "lr":
                assert sorted(steps) == list(range(1, NUM_EPOCHS + 1)), "an epoch is missing"
