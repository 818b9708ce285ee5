"""Searches as studies of Optuna: what a program finds that reads the journal."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sweeps.search.journal import name_of, write_journal
from sweeps.search.study import Study
from sweeps.store.store import Store
from tests.sweeps.search.worlds import play, smooth, spec_with, study_of

RULE = "held_out_classes_auroc"


def played(folder: Path, search: dict[str, Any]) -> Study:
    """The study of a search after its end."""
    spec, store = spec_with(search), Store(folder)
    return play(lambda: study_of(spec, store), smooth, seed=1, at_once=3)


def loaded(path: Path, *studies: Study) -> list[optuna.Study]:
    """Studies from a journal that was written of ours."""
    facts = [study.facts() for study in studies]
    write_journal(path, facts)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return [optuna.load_study(study_name=name_of(each), storage=storage) for each in facts]


@pytest.mark.parametrize("rungs", [[], [30, 90]])
def test_a_study_has_our_candidates_with_values_and_states(tmp_path: Path, rungs: list[int]):
    """In our order; a pruned one has its averages so far, and says why it was pruned."""
    ours = played(tmp_path, {"candidates": 16, "rungs": rungs})
    (theirs,) = loaded(tmp_path / "journal", ours)
    assert [trial.params for trial in theirs.trials] == [dict(c.params) for c in ours.candidates]
    for trial, candidate in zip(theirs.trials, ours.candidates, strict=True):
        assert trial.number == candidate.number
        assert trial.state.name.lower() == candidate.state
        assert trial.user_attrs[RULE] == candidate.values[RULE]
        if trial.state == TrialState.COMPLETE:
            assert trial.value == candidate.mean(RULE)
        else:
            assert trial.user_attrs["why"] == candidate.reason
            assert list(trial.intermediate_values.values()) == list(candidate.course(RULE))
    assert {trial.state for trial in theirs.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert theirs.best_trial.number == ours.chosen[0].number
    assert theirs.best_trial.user_attrs["chosen"] == 1
    assert theirs.user_attrs["rules"] == [RULE]


def test_several_rules_are_several_objectives(tmp_path: Path):
    """All of them are better when larger."""
    rules = [RULE, "known_accuracy"]
    ours = played(tmp_path, {"objective": rules, "prune": "none", "candidates": 5})
    (theirs,) = loaded(tmp_path / "journal", ours)
    assert [d.name for d in theirs.directions] == ["MAXIMIZE"] * 2
    assert [t.values for t in theirs.trials] == [
        [c.mean(r) for r in rules] for c in ours.candidates
    ]


def test_what_runs_and_what_has_failed_is_shown_too(tmp_path: Path):
    """And a point of one's own between the steps, and a choice that is no plain value."""
    space = {"alpha": {"low": 2.0, "high": 20.0, "step": 6.0}, "anchor_weight": [0.1, 0.2]}
    point = {"alpha": 3.0, "anchor_weight": 0.2}
    study = study_of(spec_with({"space": space, "enqueue": [point]}), Store(tmp_path / "store"))
    (first, *_) = study.advance()
    study.note(first.id, "lost")
    study.advance()
    facts = study.facts()
    facts["space"]["training.drops"] = [[0.5], [0.25, 0.5]]
    facts["candidates"][1]["params"]["training.drops"] = [0.25, 0.5]
    storage = write_journal(tmp_path / "journal", [facts])
    trials = optuna.load_study(study_name=name_of(facts), storage=storage).trials
    assert (trials[0].state, trials[0].user_attrs["why"]) == (TrialState.FAIL, "lost")
    assert (trials[1].state, trials[1].values) == (TrialState.RUNNING, None)
    assert trials[0].params == point
    assert trials[1].params["training.drops"] == "[0.25,0.5]"
