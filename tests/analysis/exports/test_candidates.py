"""candidates.parquet: what a search has tried, from the plan's record alone."""

import json

import pyarrow.parquet as pq
import pytest
from searched import CANDIDATES, HOPELESS, RULE, SPACE, record_of, search_facts
from tracked import SWEEP, TRIALS

from analysis.exports.candidates import CANDIDATE_COLUMNS, read_searches, write_candidates
from analysis.exports.candidates import CANDIDATES as FILE
from analysis.exports.schema import schema_of
from analysis.exports.searches import Candidate, Step, searches_in
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
        {"rule": RULE, "split": 3, "seed": 0, "epoch": None, "value": 0.75},
        {"rule": RULE, "split": 1, "seed": 0, "epoch": None, "value": 1.0},
    ]
    assert rows[3]["values"] == []


def test_fits_behind_a_candidate_s_values_are_named(tmp_path):
    """By the ids of history.parquet; a pruned candidate has those of the steps that it took."""
    write_candidates(tmp_path / FILE, SWEEP, searches_in(record_of(search_facts())))
    fits = [row["fits"] for row in pq.read_table(tmp_path / FILE).to_pylist()]
    assert fits[:4] == [
        ["fit-0-step-0", "fit-0-step-1"],
        ["fit-1-step-0", "fit-1-step-1"],
        ["fit-2-step-0"],
        [],
    ]


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


def test_what_was_measured_at_a_rung_stands_beside_its_epoch(tmp_path):
    """The mean is of the ends of fits; what was left on the way says where."""
    made = searches_in(record_of(with_rung()))
    write_candidates(tmp_path / FILE, SWEEP, made)
    rows = pq.read_table(tmp_path / FILE).to_pylist()
    at = {"rule": RULE, "seed": 0}
    assert rows[0]["values"] == [
        {**at, "split": 3, "epoch": 30, "value": 0.25},
        {**at, "split": 1, "epoch": 30, "value": 0.5},
        {**at, "split": 3, "epoch": None, "value": 0.5},
        {**at, "split": 1, "epoch": None, "value": 0.75},
    ]
    assert [row["mean"] for row in rows[:3]] == [0.625, 0.875, 0.5]
    assert [row["rung"] for row in rows] == [None, None, 30, None, None]
    (again,) = read_searches(tmp_path)
    assert again.candidates[:3] == made[0].candidates[:3]
    assert (again.rungs, again.shares) == ([30], [0.25, 1.0])


def with_rung():
    """A search whose fits were stopped at epoch 30 of 120, where everything is 0.25 worse; the
    third candidate was pruned there on its second step.
    """
    at_rung = f"{RULE}/epoch_30"
    facts = search_facts(rungs=[30], shares=[0.25, 1.0], measures=[[at_rung], [RULE]])
    for each in facts["candidates"]:
        each["values"] = {at_rung: [v - 0.25 for v in each["values"][RULE]], **each["values"]}
        each["trials"] = [trial for trial in each["trials"] for _ in facts["measures"]]
    pruned = facts["candidates"][2]
    pruned["values"] = {at_rung: [0.25, 0.375], RULE: [0.5]}
    return facts


def test_a_candidate_left_at_a_rung_is_estimated_by_that_rung():
    """On two splits it was 0.3125 behind the best at epoch 30; a quarter of a step was taken."""
    (search,) = searches_in(record_of(with_rung()))
    pruned = search.candidates[2]
    assert search.best.values[f"{RULE}/epoch_30"] == [0.5, 0.75]
    assert search.estimate(pruned) == 0.875 - ((0.5 - 0.25) + (0.75 - 0.375)) / 2
    assert search.outcome(pruned) == "pruned at epoch 30"
    assert search.num_saved == 2 - 1.25
    assert "pruning saved 0.8 of 10 steps" in search.summary(0.0)
    assert search.steps == (Step(3, 0), Step(1, 0))


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


def test_listing_a_long_search_looks_at_each_candidate_a_few_times(monkeypatch):
    """Each is compared with the best, which is not to be looked for each time."""
    looked = []
    mean = Candidate.mean
    monkeypatch.setattr(Candidate, "mean", lambda self, rule: looked.append(1) or mean(self, rule))
    many = [CANDIDATES[number % 3] for number in range(1000)]
    (search,) = searches_in(record_of(search_facts(many)))
    assert len(search.ranked) == 1000
    assert [search.shown_mean(each) for each in search.candidates]
    assert search.summary(0.0)
    assert len(looked) <= 10 * 1000
