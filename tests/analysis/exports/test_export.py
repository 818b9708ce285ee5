"""Exports from a real MLflow database, in one go."""

import shutil

import pyarrow.parquet as pq
import pytest
from handmade import run_of
from tracked import FILES, SWEEP, TRIALS, Store, content, scores_of

from analysis.exports.columns import (
    HISTORY_COLUMNS,
    RUN_COLUMNS,
    SCORE_COLUMNS,
)
from analysis.exports.mlflow_runs import Found, SweepRuns, artifact
from analysis.exports.schema import METRICS, history_schema, plan_in, runs_schema, scores_schema
from analysis.exports.write import ExportError, export
from analysis.tables.sweep_table import table
from osr_core.errors import ConfigError
from osr_core.metrics import evaluate

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_export_has_what_mlflow_holds(store, tmp_path):
    """Sorted, typed, with the sweep's name; unfinished trials are missing, not guessed."""
    store.sweep(TRIALS, ["fit-1", "fit-0"])
    store.score(TRIALS[0], auroc=0.1 + 0.2)
    store.score(TRIALS[1])
    store.score(TRIALS[2], status="FAILED")
    store.fit("fit-1")
    store.fit("fit-0")
    made = export(store.uri, SWEEP, tmp_path / "export")

    runs, history, scores = (pq.read_table(tmp_path / "export" / name) for name in FILES)
    assert (made.num_finished, made.missing) == (2, (TRIALS[2],))
    assert all(path.is_file() for path in made.paths)
    assert made.plan.trials == tuple(TRIALS)
    assert plan_in(runs.schema) == made.plan
    assert runs.to_pylist() == [run_of(TRIALS[1]), run_of(TRIALS[0], auroc=0.1 + 0.2)]
    assert history["stage_id"].to_pylist() == ["fit-0"] * 4 + ["fit-1"] * 4
    assert history["metric"].to_pylist() == ["anchor", "tuplet"] * 4
    assert history["value"].to_pylist() == [0.5, 0.5, 0.25, 0.25] * 2
    assert set(history["sweep"].to_pylist()) == {SWEEP}
    assert scores["trial_id"].to_pylist() == [TRIALS[1].trial_id] * 4 + [TRIALS[0].trial_id] * 4
    assert scores["image_id"].to_pylist()[:4] == scores_of(TRIALS[1])["image_id"].to_pylist()


def test_columns_are_as_declared(store, tmp_path):
    """Each column carries its unit and meaning into the file."""
    store.sweep(TRIALS)
    store.score(TRIALS[0])
    made = export(store.uri, SWEEP, tmp_path / "export")
    expected = [runs_schema(made.plan), history_schema(), scores_schema()]
    for name, schema in zip(FILES, expected, strict=True):
        assert pq.read_schema(tmp_path / "export" / name).equals(schema, check_metadata=True)
    assert all(column.meaning for column in RUN_COLUMNS + HISTORY_COLUMNS + SCORE_COLUMNS)


def test_metric_columns_are_the_metrics_of_a_score():
    """`exports.schema` names them without importing torch; here the two are held together."""
    assert tuple(evaluate([0.0, 1.0], [0, 0], [0, -1], 1, [0.5, 0.5])) == METRICS


def test_exports_are_equal_byte_for_byte(store, tmp_path, empty_database):
    """Also from another database that recorded the same sweep in another order, with crashes."""
    store.sweep(TRIALS, ["fit-0"])
    for trial in TRIALS:
        store.score(trial, auroc=1 / 3)
    store.fit("fit-0")
    export(store.uri, SWEEP, tmp_path / "first")
    export(store.uri, SWEEP, tmp_path / "second")
    (tmp_path / "other" / "artifacts").mkdir(parents=True)
    other = Store(tmp_path / "other", empty_database)
    other.sweep(TRIALS, ["fit-0"])
    other.fit("fit-0", status="FAILED", losses=(9.0,))
    other.fit("fit-0")
    for trial in reversed(TRIALS):
        other.score(trial, status="FAILED", auroc=0.0)
        other.score(trial, auroc=1 / 3)
    export(other.uri, SWEEP, tmp_path / "third")

    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert content(tmp_path / "first") == content(tmp_path / "third")


def test_only_the_present_plan_counts(store, tmp_path):
    """Runs of trials and fits that the plan no longer has stay out of the files."""
    store.sweep(TRIALS, ["fit-0", "fit-1"])
    store.score(TRIALS[0])
    store.score(TRIALS[1])
    store.fit("fit-0")
    store.fit("fit-1")
    store.plan(TRIALS[1:], ["fit-1"])
    made = export(store.uri, SWEEP, tmp_path / "export")
    _, history, scores = (pq.read_table(tmp_path / "export" / name) for name in FILES)
    assert (made.num_finished, made.missing) == (1, (TRIALS[2],))
    assert set(scores["trial_id"].to_pylist()) == {TRIALS[1].trial_id}
    assert set(history["stage_id"].to_pylist()) == {"fit-1"}


def test_a_trial_of_a_search_enters_no_table(store, tmp_path):
    """Its result chose a setting; it says nothing about how good that is."""
    store.sweep(TRIALS, purposes={TRIALS[0].trial_id: "search"})
    for trial in TRIALS:
        store.score(trial)
    made = export(store.uri, SWEEP, tmp_path / "export")
    assert made.plan.trials == tuple(TRIALS[1:])
    rows = pq.read_table(tmp_path / "export" / "runs.parquet")
    assert TRIALS[0].trial_id not in rows["trial_id"].to_pylist()


def test_two_finished_runs_of_one_trial_are_refused(store, tmp_path):
    """A trial counts once; which of the two is right is not for an export to say."""
    store.sweep(TRIALS)
    first, second = store.score(TRIALS[0]), store.score(TRIALS[0], auroc=0.9)
    with pytest.raises(ExportError, match="has 2 finished runs") as caught:
        export(store.uri, SWEEP, tmp_path / "export")
    assert first.info.run_id in str(caught.value)
    assert second.info.run_id in str(caught.value)
    assert not (tmp_path / "export").exists()


def test_two_finished_runs_of_one_fit_are_refused(store, tmp_path):
    """Its history would be there twice."""
    store.sweep(TRIALS, ["fit-0"])
    store.fit("fit-0")
    store.fit("fit-0")
    with pytest.raises(ExportError, match="fit fit-0 has 2 finished runs"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_runs_beyond_the_first_page_are_found(store, tmp_path, monkeypatch):
    """A page holds far fewer runs than a sweep has."""
    monkeypatch.setattr("analysis.exports.mlflow_runs.PAGE", 2)
    store.sweep(TRIALS)
    for trial in TRIALS:
        store.score(trial, start_time=1)  # the plan's run is the last by start time
    assert export(store.uri, SWEEP, tmp_path / "export").missing == ()


def test_sweep_without_a_finished_trial_exports_empty_files(store, tmp_path):
    """The table then says that all are missing."""
    store.sweep(TRIALS)
    export(store.uri, SWEEP, tmp_path / "export")
    (block,) = table(tmp_path / "export").blocks
    assert [row.missing for row in block.rows] == [tuple(TRIALS)]


def test_unknown_sweep_is_refused_with_those_that_exist(store, tmp_path):
    """Also one that was deleted."""
    store.sweep(TRIALS)
    with pytest.raises(ConfigError, match=r"Did you mean 'hand_made'\? There is: hand_made\."):
        export(store.uri, "hand_mode", tmp_path / "export")
    store.client.delete_experiment(store.experiment)
    with pytest.raises(ConfigError, match="There is: none"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_missing_database_is_refused_and_not_made(tmp_path):
    """MLflow itself would answer with a new and empty one."""
    with pytest.raises(ExportError, match="there is no MLflow database at"):
        export(f"sqlite:///{tmp_path / 'mlflow.db'}", SWEEP, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_mlflow_that_cannot_be_read_is_named(tmp_path):
    """A scheme that MLflow does not know stands for every complaint of its own."""
    with pytest.raises(ExportError, match="MLflow at nowhere://x did not answer"):
        export("nowhere://x", SWEEP, tmp_path / "export")


def test_experiment_that_is_no_sweep_is_refused(store, tmp_path):
    """Somebody else's runs may be on the same server."""
    store.sweep(TRIALS)
    store.client.delete_run(store.parent.info.run_id)
    with pytest.raises(ExportError, match=r"exactly one run of kind 'sweep'.* holds 0 \(none\)"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_run_without_a_tag_or_an_artifact_is_named(store, tmp_path):
    """It cannot be told from one that somebody changed by hand."""
    store.sweep(TRIALS)
    run_id = store.score(TRIALS[0]).info.run_id
    store.client.delete_tag(run_id, "code")
    with pytest.raises(ExportError, match=f"score run {run_id} lacks 'code'"):
        export(store.uri, SWEEP, tmp_path / "export")
    store.client.set_tag(run_id, "code", "1a2b3c4")
    shutil.rmtree(store.folder / SWEEP / run_id)
    with pytest.raises(ExportError, match=f"scores.parquet of run {run_id} cannot be read"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_failed_export_leaves_the_older_one(store, tmp_path):
    """And no half-written file beside it."""
    store.sweep(TRIALS)
    run_id = store.score(TRIALS[0]).info.run_id
    export(store.uri, SWEEP, tmp_path / "export")
    before = content(tmp_path / "export")
    shutil.rmtree(store.folder / SWEEP / run_id)
    with pytest.raises(ExportError):
        export(store.uri, SWEEP, tmp_path / "export")
    assert content(tmp_path / "export") == before
    names = {path.name for path in (tmp_path / "export").iterdir()}
    assert names == {*FILES, "links.parquet", ".parts"}


def test_artifacts_are_read_in_place_or_downloaded(tmp_path):
    """A server's artifacts come over the network, its own disk's are opened where they lie."""

    class Server:
        def download_artifacts(self, run_id, name, folder):
            return shutil.copy(tmp_path / "a folder" / name, folder)

    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "scores.parquet").write_bytes(b"content")
    folder = (tmp_path / "a folder").as_posix()
    for uri in (folder, (tmp_path / "a folder").as_uri(), "mlflow-artifacts:/x", "s3://x/y"):
        assert artifact(Server(), uri, "a", "scores.parquet") == b"content"


def test_a_server_of_artifacts_that_breaks_is_not_taken_for_a_full_disk():
    """Its errors are of the system's own kind; the export would advise to make room."""

    class Server:
        def list_artifacts(self, run_id):
            raise OSError("500 Server Error")

    held = SweepRuns(Server(), SWEEP, "1", "")
    with pytest.raises(ExportError, match="artifacts of run a cannot be listed: 500 Server Error"):
        held.has(Found("a", "1", "mlflow-artifacts:/x", {}), "mined.parquet")
