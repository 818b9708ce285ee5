"""candidates.parquet: what a search has tried, from the plan's record alone."""

import json

import pyarrow.parquet as pq
import pytest
from searched import CANDIDATES, HOPELESS, RULE, SPACE, record_of, search_facts
from tracked import SWEEP, TRIALS

from analysis.exports.candidates import CANDIDATE_COLUMNS, read_searches, write_candidates
from analysis.exports.candidates import CANDIDATES as FILE
from analysis.exports.schema import schema_of
from analysis.exports.searches import Step, searches_in
from analysis.exports.write import export
from osr_core.errors import DataError

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_each_candidate_is_one_row(tmp_path):
    """With its settings, how it went, and each value beside its split and seed."""
    write_candidates(tmp_path / FILE, SWEEP, searches_in(record_of(search_facts())))
    rows = pq.read_table(tmp_path / FILE).to_pylist()
    assert [row["number"] for row in rows] == list(range(len(CANDIDATES)))
    assert [row["state"] for row in rows] == [each[2] for each in CANDIDATES]
    assert [row["chosen"] for row in rows] == [None, 0, None, None, None]
    assert [row["mean"] for row in rows] == [0.625, 0.875, 0.25, None, 0.5625]
    assert rows[2]["reason"] == HOPELESS
    assert json.loads(rows[1]["params"]) == {"alpha": CANDIDATES[1][0], "anchor_weight": 0.081}
    assert rows[1]["values"] == [
        {"rule": RULE, "split": 3, "seed": 0, "value": 0.75},
        {"rule": RULE, "split": 1, "seed": 0, "value": 1.0},
    ]
    assert rows[3]["values"] == []


def test_columns_are_as_declared(tmp_path):
    """Each carries its unit and meaning into the file."""
    write_candidates(tmp_path / FILE, SWEEP, searches_in(record_of(search_facts())))
    found = pq.read_schema(tmp_path / FILE)
    assert found.remove_metadata().equals(schema_of(CANDIDATE_COLUMNS), check_metadata=True)


def test_searches_are_read_back_as_they_were(tmp_path):
    """Also where one has several rules, and another has asked nothing yet."""
    several = search_facts(rules=(RULE, "known_accuracy"), search_id="a")
    made = searches_in(record_of(several, search_facts((), over=False, search_id="b")))
    write_candidates(tmp_path / FILE, SWEEP, made)
    first, second = read_searches(tmp_path)
    assert first.candidates[:3] == made[0].candidates[:3]
    assert first.steps == (Step(3, 0), Step(1, 0))
    assert (first.space, second.candidates, second.over) == (SPACE, (), False)


def test_equal_records_give_equal_bytes(tmp_path):
    """A search that was killed tells the same as one that was not."""
    for name in ("a", "b"):
        record = json.loads(json.dumps(record_of(search_facts())))
        write_candidates(tmp_path / name, SWEEP, searches_in(record))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_export_has_candidates_where_the_sweep_searches(store, tmp_path):
    """And loses them where the same sweep searches no more."""
    folder = tmp_path / "export"
    store.sweep(TRIALS)
    store.score(TRIALS[0])
    store.plan(TRIALS, searches=[search_facts()])
    made = export(store.uri, SWEEP, folder)
    assert folder / FILE in made.paths
    assert [len(search.candidates) for search in read_searches(folder)] == [len(CANDIDATES)]
    store.plan(TRIALS)
    assert folder / FILE not in export(store.uri, SWEEP, folder).paths
    with pytest.raises(DataError, match=r"there is no candidates\.parquet"):
        read_searches(folder)


def test_candidates_are_ranked_best_first():
    """Complete ones by their mean; what was not measured on all splits stands behind them."""
    (search,) = searches_in(record_of(search_facts()))
    assert [each.number for each in search.ranked] == [1, 0, 4, 2, 3]
    assert search.best is search.candidates[1]
    assert (search.num_saved, search.num("complete"), search.num("failed")) == (1, 3, 1)


def test_search_without_a_complete_candidate_has_no_best():
    """A pruned one was never measured in full."""
    (search,) = searches_in(record_of(search_facts(CANDIDATES[2:4], over=False)))
    assert search.best is None


def test_settings_of_candidates_are_named_shortly():
    """In the order of the space, with four digits."""
    (search,) = searches_in(record_of(search_facts()))
    assert search.words()[1] == "alpha=15.64, anchor_weight=0.081"
