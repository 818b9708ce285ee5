"""A search is a function of its spec and of what its trials find, whatever happens meanwhile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osr_core.errors import ConfigError
from sweeps.home import Home
from sweeps.launch.outlook import outlook
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import PlannedTrial
from sweeps.search.most import at_most
from sweeps.store.store import Store
from tests.sweeps.search.worlds import complete, play, smooth, spec_with, study_of, told

SAMPLERS = ("tpe", "random", "qmc", "gp")


def played(folder: Path, search: Mapping[str, Any], **how: Any) -> Any:
    """The study of a search after its end."""
    spec, store = spec_with(search), Store(folder)
    return play(lambda: study_of(spec, store), how.pop("formula", smooth), **how)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_neither_workers_nor_deaths_change_a_candidate(tmp_path: Path, sampler: str):
    """One worker, seven that end in another order, and fifty drivers that die on the way."""
    search = {"sampler": sampler, "candidates": 12 if sampler == "gp" else 24}
    alone = played(tmp_path / "1", search, seed=1, at_once=1)
    crowd = played(tmp_path / "7", search, seed=2, at_once=7)
    dying = played(tmp_path / "d", search, seed=3, at_once=4, deaths=50)
    assert told(alone) == told(crowd) == told(dying)
    assert [c.number for c in alone.chosen] == [c.number for c in dying.chosen]
    assert len({str(c.params) for c in alone.candidates}) > search["candidates"] // 2


def test_a_candidate_knows_only_results_before_its_lag(tmp_path: Path):
    """Candidate 12 of lag 4 knows 0 to 8: what 9 found changes nothing before candidate 13."""

    def other(trial: PlannedTrial) -> Mapping[str, float]:
        numbers = smooth(trial)
        is_ninth = trial.hyperparameters["anchor_weight"] == ninth
        return dict.fromkeys(numbers, 1.0) if is_ninth else numbers

    search = {"prune": "none"}
    before = played(tmp_path / "a", search, seed=1, at_once=3)
    ninth = before.candidates[9].params["anchor_weight"]
    after = played(tmp_path / "b", search, seed=1, at_once=3, formula=other)
    same = [a.params == b.params for a, b in zip(before.candidates, after.candidates, strict=True)]
    assert all(same[:13])
    assert not all(same[13:])


def test_more_candidates_go_on_where_the_search_ended(tmp_path: Path):
    """The first twelve are those of before, and nothing is asked of them again."""
    store = Store(tmp_path)
    first = play(lambda: study_of(spec_with({"candidates": 12}), store), smooth, seed=1, at_once=2)
    study = study_of(spec_with({"candidates": 20}), store)
    again = [trial.id for trial in study.advance()]
    assert told(study)[:12] == told(first)
    assert len(study.candidates) == 16  # four more, which is the lag
    assert set(again) >= {t.id for s in study._steps[:12] for t in s[0].values()}


def test_the_best_average_is_chosen_and_of_equal_ones_the_earlier(tmp_path: Path):
    """Averages over five splits, complete candidates alone."""
    study = played(tmp_path, {"top": 3}, seed=1, at_once=2)
    rule = "held_out_classes_auroc"
    means = {c.number: sum(c.values[rule]) / 5 for c in study.candidates if c.state == "complete"}
    assert [c.number for c in study.chosen] == sorted(means, key=lambda n: (-means[n], n))[:3]
    constant = {"validation/auroc": 0.5}
    tied = played(tmp_path / "t", {}, seed=1, at_once=2, formula=lambda trial: constant)
    assert [c.number for c in tied.chosen] == [0]


def test_selection_counts_candidates_in_words(tmp_path: Path):
    """For the header of a table."""
    said = played(tmp_path / "1", {"candidates": 1}, seed=1, at_once=1).selection(0)
    assert said.endswith("best of 1 candidate")
    said = played(tmp_path / "2", {"candidates": 2}, seed=1, at_once=1).selection(1)
    assert said.endswith("number 2 of 2 candidates")


def test_the_papers_values_come_first_and_so_do_points_of_ones_own(tmp_path: Path):
    """CAC's defaults are anchor weight 0.1 and alpha 10; both lie in the space."""
    paper = study_of(spec_with({}), Store(tmp_path / "p"))
    paper.advance()
    assert paper.candidates[0].params == {"anchor_weight": 0.1, "alpha": 10.0}
    point = {"anchor_weight": 0.5, "alpha": 5.0}
    own = study_of(spec_with({"enqueue": [point]}), Store(tmp_path / "o"))
    own.advance()
    assert own.candidates[0].params == point


def test_a_failed_or_lost_candidate_is_told_and_the_search_goes_on(tmp_path: Path):
    """Alpha 5 fails, alpha 20 gives no number: neither is chosen, and both say why."""

    def formula(trial: PlannedTrial) -> Mapping[str, float] | str:
        alpha = trial.hyperparameters["alpha"]
        if alpha == 5:
            return "worker process died"
        return {"validation/auroc": float("nan")} if alpha == 20 else smooth(trial)

    study = played(tmp_path, {}, seed=1, at_once=3, formula=formula)
    reasons = {c.params["alpha"]: c.reason for c in study.candidates if c.state == "failed"}
    assert reasons == {5.0: "worker process died", 20.0: "held_out_classes_auroc is nan"}
    assert study.is_over
    assert study.chosen[0].params["alpha"] == 10.0


def test_a_search_whose_candidates_all_fail_chooses_none(tmp_path: Path):
    """It ends all the same."""
    study = played(tmp_path, {}, seed=1, at_once=3, formula=lambda trial: "no")
    assert (study.is_over, study.chosen, study.trials()[120:]) == (True, [], [])


def test_values_that_do_not_go_together_are_a_failed_candidate(tmp_path: Path):
    """Softmax refuses label smoothing beside one against the rest; each alone is allowed."""
    space = {"loss": ["one_vs_rest", "cross_entropy"], "label_smoothing": [0.0, 0.1]}
    search = {"space": space, "candidates": 16, "sampler": "qmc"}
    spec, store = spec_with({}, methods={"softmax": {"search": search}}), Store(tmp_path)
    flat = {"validation/auroc": 0.5}
    study = play(lambda: study_of(spec, store), lambda trial: flat, seed=1, at_once=2)
    failed = [c for c in study.candidates if c.state == "failed"]
    assert failed
    assert all(c.params == {"loss": "one_vs_rest", "label_smoothing": 0.1} for c in failed)
    assert "one_vs_rest has no label_smoothing" in failed[0].reason


def test_what_is_fixed_may_need_a_setting_of_the_space(tmp_path: Path):
    """The best weights by accuracy need images to measure on, whose share the search varies."""
    search = {"space": {"training.validation": [0.1, 0.2]}, "candidates": 4}
    entry = {"training": {"keep": "accuracy"}, "search": search}
    study = study_of(spec_with({}, methods={"softmax": entry}), Store(tmp_path))
    assert study.advance()
    (dearest,) = at_most(plan_with_data(study.subject.spec, None))
    assert dearest["fits"] == 4 * 5 + 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_setting_that_does_not_count_is_left_out(tmp_path: Path, sampler: str):
    """A smoothing stands beside cross-entropy alone."""
    smoothing = {"low": 0.0, "high": 0.3, "when": {"loss": "cross_entropy"}}
    space = {"loss": ["one_vs_rest", "cross_entropy"], "label_smoothing": smoothing}
    search = {"space": space, "candidates": 12, "sampler": sampler, "lag": 2}
    spec, store = spec_with({}, methods={"softmax": {"search": search}}), Store(tmp_path)
    flat = {"validation/auroc": 0.5}
    study = play(lambda: study_of(spec, store), lambda trial: flat, seed=1, at_once=2)
    assert {c.state for c in study.candidates} == {"complete"}
    found = {c.params["loss"]: set(c.params) for c in study.candidates}
    assert found["one_vs_rest"] == {"loss"}
    assert found["cross_entropy"] == {"loss", "label_smoothing"}


def test_known_results_of_an_earlier_sweep_are_looked_at(tmp_path: Path):
    """What they found moves the first suggestion, and stays what it was when the search began."""
    known = [({"anchor_weight": 0.01 * n, "alpha": 10.0}, [0.9 - 0.01 * n]) for n in range(1, 30)]
    search = {"enqueue": [], "from": "earlier"}
    without = study_of(spec_with(search), Store(tmp_path / "w"))
    store = Store(tmp_path / "k")
    having = study_of(spec_with(search), store, known)
    later = study_of(spec_with(search), store)
    for study in (without, having, later):
        study.advance()
    assert told(having) != told(without)
    assert told(having) == told(later)


def test_a_plan_names_earlier_sweeps_that_are_not_there(tmp_path: Path):
    """`osr run` would refuse them; a home without any store may get them yet."""
    spec = spec_with({"from": ["earlier", "../earlier"]})
    outlook(spec, Home(tmp_path), None)
    Store(tmp_path / "store").save_sweep("earliest", {})
    with pytest.raises(ConfigError) as error:
        outlook(spec, Home(tmp_path), None)
    said = "search of cac: from: sweep '{}' does not exist. Did you mean 'earliest'?"
    assert len(error.value.problems) == 2
    assert error.value.problems[0].startswith(said.format("earlier"))
    assert error.value.problems[1].startswith(said.format("../earlier"))


def test_pruning_saves_trials_and_keeps_the_best(tmp_path: Path):
    """The same candidate is chosen as without it, on fewer splits."""
    all_of = played(tmp_path / "a", {"prune": "none", "sampler": "random"}, seed=1, at_once=3)
    pruned = played(tmp_path / "p", {"sampler": "random"}, seed=1, at_once=3)
    assert [c.params for c in all_of.candidates] == [c.params for c in pruned.candidates]
    assert pruned.chosen[0].number == all_of.chosen[0].number
    assert complete(all_of.candidates) == list(range(24))
    assert sum(c.steps_done for c in pruned.candidates) < 90
    assert {c.reason[:16] for c in pruned.candidates if c.state == "pruned"} == {"behind candidate"}


def test_a_budget_of_hours_ends_the_asking(tmp_path: Path):
    """Each stage took half an hour: after ten of them no candidate is asked."""
    spec, store = spec_with({"gpu_hours": 5.0, "lag": 1, "prune": "none"}), Store(tmp_path)
    study = study_of(spec, store)
    while trials := study.advance():
        for trial in trials:
            for stage in trial.score.walk():
                store.commit(
                    stage.id, stage.identity, {}, {}, started_at=0.0, wall_s=1800.0, host="h"
                )
            study.note(trial.id, smooth(trial))
    assert len(study.candidates) == 1  # five splits, a fit and a validation each: five hours
    assert study.is_over
    assert study.chosen[0].number == 0
