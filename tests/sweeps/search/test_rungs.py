"""Rungs: candidates are compared within a fit, too, at the same epoch of the same schedule."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.exports.searches import Search, searches_in
from osr_core.data import benchmark
from osr_core.data.checks import class_counts
from osr_core.data.tasks import fingerprints
from osr_core.errors import ConfigError
from sweeps.planning.plan import PlannedTrial, plan_with
from sweeps.planning.record import plan_of, plan_record, trial_facts
from sweeps.planning.search_checks import check_searches
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.search.study import Study
from sweeps.search.subject import Subject
from sweeps.store.store import Store
from tests.plain import results
from tests.sweeps.search.worlds import play, smooth, spec_with, study_of, told

RULE = "held_out_classes_auroc"
RUNGS = (30, 90)
COUNTS = partial(class_counts, None)
EPOCHS = 200  # of the common recipe
SEARCH = {"rungs": list(RUNGS)}


def rising(trial: PlannedTrial) -> Mapping[str, float]:
    """The longer the training, the better, and the order of candidates is the same all the way."""
    lacks = {30: 0.3, 90: 0.1}.get(trial.ends[-1] or 0, 0.0)
    return {name: number - lacks for name, number in smooth(trial).items()}


def played(folder: Path, search: Mapping[str, Any] = SEARCH, **how: Any) -> Study:
    """The study of a search after its end."""
    spec, store = spec_with(search), Store(folder)
    how = {"formula": rising, "seed": 1, "at_once": 3, **how}
    return play(lambda: study_of(spec, store), how.pop("formula"), **how)


def as_exported(study: Study) -> Search:
    """What an export has of a search."""
    spec = study.subject.spec
    trials = [trial for steps in study._steps for step in steps for trial in step.values()]
    facts = {"trials": [trial_facts(spec, each) for each in trials], "searches": [study.facts()]}
    (search,) = searches_in({**facts, "stages": [], "leaves": {}})
    return search


def test_neither_workers_nor_deaths_change_what_a_rung_decides(tmp_path: Path):
    """One worker, seven that end in another order, and thirty drivers that die on the way."""
    alone = played(tmp_path / "1", at_once=1)
    crowd = played(tmp_path / "7", seed=2, at_once=7)
    dying = played(tmp_path / "d", seed=3, at_once=4, deaths=30)
    assert told(alone) == told(crowd) == told(dying)
    assert [c.number for c in alone.chosen] == [c.number for c in dying.chosen]
    assert any("at epoch 30" in c.reason for c in alone.candidates)


def test_rungs_save_work_and_keep_the_best(tmp_path: Path):
    """The same choice as without rungs, for fewer epochs."""
    search = {**SEARCH, "sampler": "random"}
    with_rungs = played(tmp_path / "r", search)
    without = played(tmp_path / "w", {"sampler": "random"}, formula=smooth)
    assert [c.number for c in with_rungs.chosen] == [c.number for c in without.chosen]
    assert as_exported(with_rungs).num_saved > as_exported(without).num_saved


def test_numbers_are_compared_with_those_of_the_same_rung_alone(tmp_path: Path):
    """All have 0.3 less after 30 epochs; who is as good as the best there goes on to the end."""
    study = played(tmp_path, {**SEARCH, "sampler": "random"})
    for each in study.candidates:
        if each.state == "complete":
            early = each.values[f"{RULE}/epoch_30"]
            gaps = [end - rung for end, rung in zip(each.values[RULE], early, strict=True)]
            assert gaps == pytest.approx([0.3] * 5)
    dropped = [each for each in study.candidates if "at epoch 30" in each.reason]
    assert dropped
    for each in dropped:
        assert not each.values[f"{RULE}/epoch_90"] or each.steps_done > 1
        assert each.reason.startswith("behind candidate ")


def test_who_falls_behind_late_is_dropped_at_a_later_rung(tmp_path: Path):
    """Alpha 20 is as good as the others until epoch 30, and bad from there on."""

    def fading(trial: PlannedTrial) -> Mapping[str, float]:
        has_faded = trial.hyperparameters["alpha"] == 20 and trial.ends[-1] != 30
        return {"validation/auroc": 0.5 if has_faded else 0.8}

    search = {**SEARCH, "sampler": "random", "candidates": 40}
    study = played(tmp_path, search, formula=fading)
    reasons = [c.reason for c in study.candidates if c.params["alpha"] == 20 and c.number > 12]
    assert reasons
    assert all(reason.endswith("on 1 step, at epoch 90") for reason in reasons)


def test_average_is_of_the_ends_of_fits(tmp_path: Path):
    """What was measured on the way chooses nothing, and is told to no sampler as a result."""
    study = played(tmp_path, {**SEARCH, "candidates": 3})
    best = study.chosen[0]
    assert best.mean(RULE) == sum(best.values[RULE]) / 5
    assert best.steps_done == 15
    assert list(best.course(RULE))[::3] == pytest.approx(
        [sum(best.values[f"{RULE}/epoch_30"][:k]) / k for k in range(1, 6)]
    )


def test_promotion_goes_on_from_what_the_rung_left(tmp_path: Path):
    """The legs of a step are one after the other in its last trial, and cost one fit in all."""
    study = study_of(spec_with(SEARCH), Store(tmp_path))
    study.advance()
    first, second, end = (step[each] for step, each in zip(study._steps[0], names(), strict=False))
    fits = [[stage.id for stage in t.score.walk() if stage.kind.trains] for t in (first, second)]
    legs = [stage for stage in end.score.walk() if stage.kind.trains]
    assert [[leg.id for leg in legs[:1]], [leg.id for leg in legs[:2]]] == fits
    assert [leg.effort for leg in legs] == [30, 60, 110]
    assert [trial.label[-8:] for trial in (first, second)] == ["epoch 30", "epoch 90"]


def names() -> list[str]:
    """The measures of a step, in order."""
    return [f"{RULE}/epoch_30", f"{RULE}/epoch_90", RULE]


def test_part_of_a_step_that_was_not_taken_is_saved(tmp_path: Path):
    """Of 200 epochs, 30 of the third split were trained: of five steps, 2.85 are saved."""
    search = as_exported(played(tmp_path))
    values = {names()[0]: [0.6, 0.6, 0.1], names()[1]: [0.8, 0.8], RULE: [0.9, 0.9]}
    pruned = replace(search.candidates[0], state="pruned", values=values, chosen=None)
    (saved,) = [replace(search, candidates=(*search.candidates, pruned)).num_saved]
    assert saved - search.num_saved == pytest.approx(5 - 2 - 30 / EPOCHS)
    assert search.rung(pruned) == 30
    assert search.outcome(pruned) == "pruned at epoch 30"


def test_searches_with_and_without_rungs_answer_one_question(tmp_path: Path):
    """Their numbers are the same, bit for bit, so one may begin with what the other found."""
    with_rungs, without = (study_of(spec_with(s), Store(tmp_path)) for s in (SEARCH, {}))
    assert with_rungs.subject.question == without.subject.question
    assert with_rungs.id != without.id


def test_numbers_at_the_end_are_those_of_a_fit_made_at_once():
    """A real fit of four epochs, stopped twice."""
    brief = {"backbone": {"width": 0.1}, "training": {"epochs": 4, "warmup_epochs": 0}}
    found = []
    for rungs in ([1, 2], []):
        spec = spec_with({"rungs": rungs, "splits": [0]}, **brief)
        prints = fingerprints(None, benchmark("digits"))
        subject = Subject(spec, spec.searches[0], "digits", prints)
        trial = subject.trials({"anchor_weight": 0.1, "alpha": 10.0})[-1][RULE]
        *_, (_, last) = results(trial.score.walk())
        found.append(last.metrics)
    assert found[0] == found[1]


def test_record_gives_the_legs_back(tmp_path: Path):
    """Whoever has the record knows the stages."""
    study = study_of(spec := spec_with(SEARCH), Store(tmp_path))
    plan = plan_with(spec, study.subject.fingerprints, study.advance())
    again = plan_of(plan_record(plan, "code"))
    assert again.stages.keys() == plan.stages.keys()
    labels = [plan.describe(stage) for stage in plan.stages.values()]
    assert labels[0].startswith("fit cac digits/0 seed 0 epochs 1 to 30 ")
    assert labels[1].startswith("validate cac digits/0 seed 0 epoch 30")


def refused(search: Mapping[str, Any], method: str = "cac", **changes: Any) -> str:
    """What a spec with such a search is told."""
    block = {"space": {"training.lr": {"low": 0.01, "high": 0.1}}, **search}
    with pytest.raises(ConfigError) as caught:
        check_searches(spec_of(method, block, **changes), None, COUNTS)
    return str(caught.value)


def spec_of(method: str, block: Mapping[str, Any], **changes: Any) -> SweepSpec:
    """A sweep over one split of the digits."""
    values = {"name": "searching", "datasets": ["digits"], "splits": [0], **changes}
    return parse_spec({**values, "methods": {method: {"search": block}}}, "searching")


def test_rungs_that_cannot_be_are_refused_before_any_work():
    """With what is allowed: before the end, ascending, of one schedule, and only for pruning."""
    assert "rungs must be < 200, the epochs of the fit that is scored, not 200" in refused(
        {"rungs": [30, 200]}
    )
    assert "rungs must be < 10," in refused({"rungs": [30]}, "proser")
    assert "rungs must ascend, not [90, 30]" in refused({"rungs": [90, 30]})
    assert "rungs must be >= 1" in refused({"rungs": [0, 30]})
    assert "leave them out, or prune: paired" in refused({"rungs": [30], "prune": "none"})
    epochs = {"space": {"training.epochs": {"low": 100, "high": 300}}, "rungs": [30]}
    assert "the space has some of 100 to 300 epochs" in refused(epochs)
    assert "rungs must be of type int" in refused({"rungs": [0.5]})
    last = {"space": {"alpha": [5.0, 10.0]}, "rungs": [30, 199]}
    check_searches(spec_of("cac", last), None, COUNTS)
