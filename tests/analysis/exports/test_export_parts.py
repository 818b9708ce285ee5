"""Exports in parts: interrupted, continued, of other versions, and what only some runs leave."""

import shutil
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tracked import SWEEP, TRIALS, content

from analysis.exports.parts import put_together, row_groups
from analysis.exports.read import read_embeddings, read_links, read_runs
from analysis.exports.schema import run_columns
from analysis.exports.write import ExportError, export
from analysis.tables.sweep_table import table
from osr_core.errors import DataError

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_interrupted_export_goes_on_where_it_stopped(store, tmp_path, monkeypatch):
    """Batches that are done are not read again, and the bytes are those of one go."""
    monkeypatch.setattr("analysis.exports.parts.BATCH", 1)
    store.sweep(TRIALS, ["fit-0"])
    runs = [store.score(trial).info.run_id for trial in TRIALS]
    store.fit("fit-0")
    export(store.uri, SWEEP, tmp_path / "whole")
    last = store.folder / SWEEP / runs[2]  # of the trial whose id is sorted last
    last.rename(tmp_path / "away")
    with pytest.raises(ExportError, match="cannot be read"):
        export(store.uri, SWEEP, tmp_path / "export")
    (tmp_path / "away").rename(last)
    shutil.rmtree(store.folder / SWEEP / runs[0])  # its part is there already
    export(store.uri, SWEEP, tmp_path / "export")
    assert content(tmp_path / "export") == content(tmp_path / "whole")
    assert not (tmp_path / "export" / ".parts").exists()


def test_part_is_made_anew_when_its_run_changes(tmp_path):
    """The same trial of another run has other rows."""
    schema = pa.schema([("trial_id", pa.string()), ("value", pa.int64())])
    asked = []

    def make(value):
        def rows(ids):
            asked.append(list(ids))
            for name in ids:
                yield pa.table({"trial_id": [name], "value": [value]}, schema=schema)

        return rows

    path = tmp_path / "scores.parquet"
    put_together(path, schema, {"b": "run 1", "a": "run 1"}, make(1))
    put_together(path, schema, {"b": "run 1", "a": "run 1"}, make(2))
    assert pq.read_table(path)["value"].to_pylist() == [1, 1]
    put_together(path, schema, {"b": "run 2", "a": "run 1"}, make(3))
    assert pq.read_table(path)["value"].to_pylist() == [3, 3]
    assert asked == [["a", "b"], ["a", "b"]]


def table_of(name, count):
    """So many rows of one id."""
    logits = pa.array([[0.5, 1.5]] * count, pa.list_(pa.float32()))
    return pa.table({"trial_id": [name] * count, "logits": logits})  # four values each


def test_row_group_ends_before_it_is_too_large(monkeypatch):
    """Memory does not grow with a batch; one run that is larger stands alone."""
    monkeypatch.setattr("analysis.exports.parts.ROW_GROUP", 20)
    drawn = []

    def tables():
        for name, count in (("a", 2), ("b", 3), ("c", 1), ("d", 9), ("e", 1)):
            drawn.append(name)
            yield table_of(name, count)

    groups = row_groups(tables())
    assert next(groups)["trial_id"].to_pylist() == ["a", "a", "b", "b", "b"]
    assert drawn == ["a", "b", "c"]
    assert [len(group) for group in groups] == [1, 9, 1]


def test_row_groups_follow_from_the_content_alone(store, tmp_path, monkeypatch):
    """However it came together: in one go, after a break, from an older export."""
    monkeypatch.setattr("analysis.exports.parts.ROW_GROUP", 80)  # two trials of four images
    store.sweep(TRIALS, ["fit-0"])
    store.fit("fit-0")
    runs = [store.score(TRIALS[number]).info.run_id for number in (0, 2)]
    export(store.uri, SWEEP, tmp_path / "export")
    moment = datetime.now()
    runs.append(store.score(TRIALS[1]).info.run_id)
    export(store.uri, SWEEP, tmp_path / "whole")
    assert pq.ParquetFile(tmp_path / "whole" / "scores.parquet").num_row_groups == 2
    export(store.uri, SWEEP, tmp_path / "export", since=moment)
    assert content(tmp_path / "export") == content(tmp_path / "whole")


def test_since_reads_later_runs_and_keeps_the_others(store, tmp_path):
    """The result is that of a full export, and earlier artifacts are not looked at."""
    store.sweep(TRIALS, ["fit-0", "fit-1"])
    early = store.score(TRIALS[0])
    store.fit("fit-0")
    export(store.uri, SWEEP, tmp_path / "export")
    moment = datetime.now()
    store.score(TRIALS[1])
    store.fit("fit-1")
    export(store.uri, SWEEP, tmp_path / "whole")
    shutil.rmtree(store.folder / SWEEP / early.info.run_id)
    made = export(store.uri, SWEEP, tmp_path / "export", since=moment)
    assert (made.num_finished, made.missing) == (2, (TRIALS[2],))
    assert content(tmp_path / "export") == content(tmp_path / "whole")


def test_since_refuses_what_it_cannot_go_on_from(store, tmp_path):
    """No older export, or one whose trial has finished a second time."""
    store.sweep(TRIALS)
    moment = datetime.now()
    with pytest.raises(ExportError, match="leave out --since once"):
        export(store.uri, SWEEP, tmp_path / "export", since=moment)
    first = store.score(TRIALS[0])
    export(store.uri, SWEEP, tmp_path / "export")
    store.client.delete_run(first.info.run_id)
    store.score(TRIALS[0])
    with pytest.raises(ExportError, match="export in full, without --since"):
        export(store.uri, SWEEP, tmp_path / "export", since=moment)


def test_artifacts_that_only_some_runs_leave_have_files_of_their_own(store, tmp_path):
    """Mined images and embeddings; without any, there is no file."""
    store.sweep(TRIALS, ["mine-1"])
    store.score(TRIALS[0])
    export(store.uri, SWEEP, tmp_path / "export")
    assert not (tmp_path / "export" / "mined.parquet").exists()
    mined = {"label": [0, 1], "robustness": [0.5, 1.0], "correct": [False, True]}
    tags = {"kind": "pmal.mine", "stage_id": "mine-1"}
    table = pa.table({**mined, "prototype": [False, True], "later": ["a", "b"]})
    store.run(tags, files={"mined.parquet": table})
    embedded = {"role": ["prototype"], "label": pa.array([0], pa.int32())}
    table = pa.table({**embedded, "embedding": [[1.0, 2.0]]})
    described = store.score(TRIALS[1])
    store.client.log_artifact(described.info.run_id, str(written(tmp_path, table)))
    made = export(store.uri, SWEEP, tmp_path / "export")
    rows = pq.read_table(tmp_path / "export" / "mined.parquet").to_pylist()
    first = {"stage_id": "mine-1", "dataset": "svhn", "split": 1}
    assert rows[0] == {**first, "label": 0, "robustness": 0.5, "correct": False, "prototype": False}
    (row,) = read_embeddings(tmp_path / "export", TRIALS[1].trial_id).to_pylist()
    assert row == {
        "trial_id": TRIALS[1].trial_id,
        "role": "prototype",
        "label": 0,
        "embedding": [1.0, 2.0],
    }
    assert [path.name for path in made.paths][3:] == [
        "mined.parquet",
        "embeddings.parquet",
        "links.parquet",
    ]


OTHER = {"other.look": ["seen.parquet"], "other.rest": []}


def test_tables_of_other_kinds_have_files_with_their_own_columns(store, tmp_path, monkeypatch):
    """Whatever a plugin's stages leave; a column that one of them lacks or left empty is null."""
    monkeypatch.setattr("analysis.exports.parts.BATCH", 1)
    store.sweep(TRIALS)
    store.plan(TRIALS, ["look-1", "look-0", "look-2"], leaves=OTHER)
    tables = {
        "look-1": {"label": [0, 1], "note": ["a", None], "split": ["x", "y"]},
        "look-0": {"label": [0], "note": [None], "more": [[0.5]]},
    }
    for stage_id, columns in tables.items():
        tags = {"kind": "other.look", "stage_id": stage_id}
        store.run(tags, files={"seen.parquet": pa.table(columns)})
    store.run({"kind": "other.look", "stage_id": "look-2"})  # this one had nothing to tell
    made = export(store.uri, SWEEP, tmp_path / "export")
    assert [path.name for path in made.paths][3:] == ["seen.parquet", "links.parquet"]
    rows = pq.read_table(tmp_path / "export" / "seen.parquet").to_pylist()
    of_first = {"stage_id": "look-0", "dataset": "svhn", "split": 0}
    of_second = {"stage_id": "look-1", "dataset": "svhn", "split": 1}
    assert rows == [
        {**of_first, "label": 0, "note": None, "more": [0.5]},
        {**of_second, "label": 0, "note": "a", "more": None},
        {**of_second, "label": 1, "note": None, "more": None},
    ]


def test_tables_of_one_name_whose_columns_disagree_are_refused(store, tmp_path):
    """A number and a word under one name cannot be one column."""
    store.sweep(TRIALS)
    store.plan(TRIALS, ["look-1", "look-0"], leaves=OTHER)
    for stage_id, value in (("look-0", 1), ("look-1", "one")):
        tags = {"kind": "other.look", "stage_id": stage_id}
        store.run(tags, files={"seen.parquet": pa.table({"value": [value]})})
    with pytest.raises(ExportError, match=r"seen\.parquet do not agree on its columns: .*value"):
        export(store.uri, SWEEP, tmp_path / "export")


def test_a_table_that_the_plan_has_no_more_is_removed(store, tmp_path):
    """It would be taken for the present sweep's; other files in the folder are the user's."""
    store.sweep(TRIALS)
    store.plan(TRIALS, ["look-0"], leaves=OTHER)
    tags = {"kind": "other.look", "stage_id": "look-0"}
    store.run(tags, files={"seen.parquet": pa.table({"value": [1]})})
    folder = export(store.uri, SWEEP, tmp_path / "export").folder
    (folder / "mine.parquet").write_bytes(b"a user's own")
    moment = datetime.now()
    export(store.uri, SWEEP, folder, since=moment)
    assert pq.read_table(folder / "seen.parquet")["value"].to_pylist() == [1]
    store.plan(TRIALS)
    export(store.uri, SWEEP, folder, since=moment)
    assert not (folder / "seen.parquet").exists()
    assert (folder / "mine.parquet").exists()


def test_a_plan_of_an_earlier_version_is_not_guessed_at(store, tmp_path):
    """It does not say which tables its stages leave; `osr sync` writes it anew."""
    store.sweep(TRIALS)
    store.client.log_text(store.parent.info.run_id, '{"stages": []}', "plan.json")
    with pytest.raises(ExportError, match=f"osr sync {SWEEP}"):
        export(store.uri, SWEEP, tmp_path / "export")


def written(folder, table):
    """The path of embeddings.parquet with this content."""
    path = folder / "embeddings.parquet"
    pq.write_table(table, path)
    return path


def test_exports_of_other_versions_can_be_read(store, tmp_path):
    """A later version's extra column is left out, an older one's missing optional one is null."""
    store.sweep(TRIALS)
    store.score(TRIALS[0])
    folder = export(store.uri, SWEEP, tmp_path / "export").folder
    runs = pq.read_table(folder / "runs.parquet")
    changed = runs.drop_columns(["num_parameters"]).append_column("later", pa.array(["x"]))
    pq.write_table(changed, folder / "runs.parquet")
    read, plan = read_runs(folder)
    assert read.column_names == [column.name for column in run_columns(plan)]
    assert read["num_parameters"].to_pylist() == [None]
    assert table(folder).num_splits == 3
    pq.write_table(changed.drop_columns(["auroc"]), folder / "runs.parquet")
    with pytest.raises(DataError, match="lacks the column auroc"):
        read_runs(folder)


def test_links_say_where_each_run_lies(store, tmp_path):
    """The one file with MLflow's own ids."""
    store.sweep(TRIALS, ["fit-0"])
    run = store.score(TRIALS[0])
    fit = store.fit("fit-0")
    links = read_links(export(store.uri, SWEEP, tmp_path / "export").folder).to_pylist()
    assert [(link["stage_id"], link["run_id"]) for link in links] == [
        (TRIALS[0].trial_id, run.info.run_id),
        ("fit-0", fit.info.run_id),
    ]
    assert {link["experiment_id"] for link in links} == {store.experiment}
