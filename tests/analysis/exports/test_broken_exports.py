"""Files that are cut short or foreign, and two exports at once: a sentence, never a broken file."""

import shutil
import threading
import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import planned_trial, run_of, write_export
from stored_figures import EXPORTS
from tracked import SWEEP, TRIALS, content

from analysis.exports.mlflow_runs import ExportError, SweepRuns
from analysis.exports.read import UnreadableError, is_complete_export
from analysis.exports.schema import history_schema, links_schema
from analysis.exports.write import export
from analysis.figures.draw import draw
from analysis.report.page import report
from analysis.tables.comparison import compare
from analysis.tables.sweep_table import table

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def cut(path: Path) -> None:
    """Leave the first half, as a full disk or a broken copy does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Leave the name alone."""
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Put something else of the same name in its place."""
    path.write_text("image_id,label\n")


BREAKS = {"cut": cut, "empty": empty, "foreign": swap}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_runs_are_named_by_every_reader(name, tmp_path):
    """With the command that makes the file anew, and not a word of Arrow's traceback."""
    folder = shutil.copytree(EXPORTS / "cac-fig3", tmp_path / "cac-fig3")
    BREAKS[name](folder / "runs.parquet")
    for read in (
        lambda: table(folder),
        lambda: compare([folder]),
        lambda: draw("cac3", tmp_path),
        lambda: report(tmp_path),
    ):
        with pytest.raises(UnreadableError) as caught:
            read()
        assert str(caught.value).startswith(f"{folder / 'runs.parquet'} cannot be read: ")
        assert str(caught.value).endswith("Export the sweep again: osr export cac-fig3")
        assert "\n" not in str(caught.value)
    assert not is_complete_export(folder, [], "")


@pytest.mark.parametrize("name", ["runs.parquet", "scores.parquet", "history.parquet"])
def test_an_export_of_which_a_file_was_deleted_is_made_anew(name, tmp_path):
    """`osr run` took it for whole and left it, and figures found nothing."""
    (trial,) = trials = [planned_trial("CAC")]
    folder = write_export(tmp_path, trials, [run_of(trial)])
    schema = links_schema(["scores.parquet", "history.parquet"], "its-store")
    pq.write_table(schema.empty_table(), folder / "links.parquet")
    for each in ("scores.parquet", "history.parquet"):
        (folder / each).touch()
    assert is_complete_export(folder, [trial.trial_id], "its-store")
    (folder / name).unlink()
    assert not is_complete_export(folder, [trial.trial_id], "its-store")


@pytest.mark.parametrize(
    ("figure", "sweep", "name"),
    [
        ("roc", "cac-table2", "scores.parquet"),
        ("pmal4a", "pmal-table1", "mined.parquet"),
        ("pmal4b", "pmal-table1", "embeddings.parquet"),
    ],
)
def test_broken_file_of_a_figure_is_named(figure, sweep, name, tmp_path):
    """The report, too, says so instead of leaving the figure out as one that nobody made."""
    folder = shutil.copytree(EXPORTS / sweep, tmp_path / sweep)
    cut(folder / name)
    with pytest.raises(UnreadableError, match=f"{name} cannot be read"):
        draw(figure, tmp_path, sweep=sweep)
    pq.write_table(history_schema().empty_table(), folder / "history.parquet")
    with pytest.raises(UnreadableError, match=f"{name} cannot be read"):
        report(tmp_path)


def test_column_of_another_type_is_a_fault_of_the_file(tmp_path):
    """Another program may have written it under the same names."""
    folder = shutil.copytree(EXPORTS / "cac-fig3", tmp_path / "cac-fig3")
    runs = pq.read_table(folder / "runs.parquet")
    words = pa.array(["high"] * len(runs))
    position = runs.column_names.index("auroc")
    pq.write_table(runs.set_column(position, "auroc", words), folder / "runs.parquet")
    with pytest.raises(UnreadableError, match=r"runs\.parquet cannot be read: .*'high'"):
        table(folder)


@pytest.fixture
def exported(store, tmp_path):
    """An export of one trial with mined images, and a second trial that finished since."""
    store.sweep(TRIALS, ["fit-0", "mine-1"])
    store.score(TRIALS[0])
    store.fit("fit-0")
    mined = pa.table({"label": [0], "robustness": [0.5], "correct": [True], "prototype": [True]})
    store.run({"kind": "pmal.mine", "stage_id": "mine-1"}, files={"mined.parquet": mined})
    export(store.uri, SWEEP, tmp_path / "export")
    moment = datetime.now()
    store.score(TRIALS[1])
    return moment


OLDER = ("runs", "scores", "history", "mined", "links")


@pytest.mark.parametrize("name", OLDER)
def test_broken_older_export_is_named_by_since(name, store, exported, tmp_path):
    """Its rows cannot be taken over."""
    path = tmp_path / "export" / f"{name}.parquet"
    cut(path)
    with pytest.raises(UnreadableError, match=f"{path} cannot be read: .* osr export export"):
        export(store.uri, SWEEP, tmp_path / "export", since=exported)


def test_full_export_does_not_mind_what_lies_there(store, exported, tmp_path):
    """It is what the sentence advises."""
    for name in OLDER:
        cut(tmp_path / "export" / f"{name}.parquet")
    export(store.uri, SWEEP, tmp_path / "export")
    export(store.uri, SWEEP, tmp_path / "fresh")
    assert content(tmp_path / "export") == content(tmp_path / "fresh")


def test_broken_part_of_an_earlier_attempt_is_made_anew(store, exported, tmp_path, monkeypatch):
    """Nobody knows these files."""
    with monkeypatch.context() as patch:
        patch.setattr("analysis.exports.write.shutil.rmtree", lambda *_, **__: None)
        export(store.uri, SWEEP, tmp_path / "export")
    for part in (tmp_path / "export" / ".parts").iterdir():
        cut(part)
    export(store.uri, SWEEP, tmp_path / "export")
    export(store.uri, SWEEP, tmp_path / "fresh")
    assert content(tmp_path / "export") == content(tmp_path / "fresh")


@pytest.mark.parametrize("name", BREAKS)
def test_broken_artifact_in_mlflow_is_named_with_its_run(name, store, tmp_path):
    """The scores of a trial, and the plan itself."""
    store.sweep(TRIALS)
    run_id = store.score(TRIALS[0]).info.run_id
    BREAKS[name](store.folder / SWEEP / run_id / "artifacts" / "scores.parquet")
    with pytest.raises(ExportError, match=rf"scores\.parquet of run {run_id} .*`osr sync`"):
        export(store.uri, SWEEP, tmp_path / "export")
    plan_id = store.parent.info.run_id
    BREAKS[name](store.folder / SWEEP / plan_id / "artifacts" / "plan.json")
    with pytest.raises(ExportError, match=rf"plan\.json of run {plan_id} .*osr sync {SWEEP}"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_artifact_without_a_column_is_named_with_its_run(store, tmp_path):
    """A stage of another version left it."""
    store.sweep(TRIALS)
    run_id = store.score(TRIALS[0]).info.run_id
    path = store.folder / SWEEP / run_id / "artifacts" / "scores.parquet"
    pq.write_table(pq.read_table(path).drop(["label"]), path)
    with pytest.raises(ExportError, match=f"run {run_id} .*column label is missing"):
        export(store.uri, SWEEP, tmp_path / "export")


@pytest.mark.parametrize("name", ["cut", "foreign"])
def test_broken_database_is_named(name, store, tmp_path):
    """It holds nothing that the store does not."""
    store.sweep(TRIALS)
    BREAKS[name](tmp_path / "mlflow.db")
    with pytest.raises(ExportError, match=r"mlflow\.db did not .*`osr sync` makes it anew"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_two_exports_at_once_both_succeed(store, tmp_path, monkeypatch, caplog):
    """The second waits, says so, and leaves what one alone leaves."""
    store.sweep(TRIALS, ["fit-0"])
    for trial in TRIALS:
        store.score(trial)
    store.fit("fit-0")
    export(store.uri, SWEEP, tmp_path / "alone")
    begun, go_on, read = threading.Event(), threading.Event(), SweepRuns.rows

    def slowly(*asked):
        begun.set()
        go_on.wait(60)
        return read(*asked)

    monkeypatch.setattr(SweepRuns, "rows", slowly)
    ended = []

    def run():
        ended.append(export(store.uri, SWEEP, tmp_path / "export").num_finished)

    first, second = threading.Thread(target=run), threading.Thread(target=run)
    first.start()
    begun.wait(60)
    second.start()
    deadline = time.monotonic() + 60
    while "another export into" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.05)
    go_on.set()
    first.join(60)
    second.join(60)
    assert ended == [3, 3]
    assert content(tmp_path / "export") == content(tmp_path / "alone")


def test_folder_that_cannot_be_written_is_named(store, tmp_path):
    """Also where a file has its name, or that of the folder around it."""
    store.sweep(TRIALS)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "export", tmp_path / "file"):
        with pytest.raises(ExportError, match=f"{folder} cannot be written: .*permission"):
            export(store.uri, SWEEP, folder)
