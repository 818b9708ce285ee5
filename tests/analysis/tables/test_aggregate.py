"""Averages: over what they are taken."""

import pytest
from handmade import plan_of, planned_trial, run_of, runs_table

from analysis.exports.labels import row_labels
from analysis.exports.read import by_id
from analysis.tables.aggregate import averages


def auroc_of(trials, aurocs):
    """The average AUROC of trials of one row, of which those with a number are finished."""
    finished = [
        run_of(trial, auroc=auroc)
        for trial, auroc in zip(trials, aurocs, strict=True)
        if auroc is not None
    ]
    (label,) = set(row_labels(trials).values())
    return averages(trials, by_id(runs_table(plan_of(trials), finished)))[label, "svhn", "auroc"]


def test_deviation_is_over_splits_after_averaging_seeds():
    """Seeds of a split are not independent draws of a split; splits 0.8 and 0.9 differ by 0.1."""
    trials = [planned_trial("CAC", split=split, seed=seed) for split in (0, 1) for seed in (0, 1)]
    average = auroc_of(trials, [0.7, 0.9, 0.85, 0.95])
    assert average.mean == pytest.approx(0.85)
    assert average.std == pytest.approx(0.1 / 2**0.5)
    assert (average.num_planned, average.missing) == (4, ())


def test_each_split_weighs_the_same_when_a_seed_is_missing():
    """Otherwise a crash would move the mean towards the splits that it spared."""
    trials = [planned_trial("CAC", split=split, seed=seed) for split in (0, 1) for seed in (0, 1)]
    average = auroc_of(trials, [0.8, 0.8, 0.9, None])
    assert average.mean == pytest.approx(0.85)
    assert average.missing == (trials[3],)


def test_one_split_has_no_deviation():
    """Seeds alone say nothing about other splits."""
    trials = [planned_trial("CAC", seed=seed) for seed in (0, 1)]
    average = auroc_of(trials, [0.8, 0.9])
    assert (average.mean, average.std) == (pytest.approx(0.85), None)


def test_row_without_finished_trials_has_no_mean():
    """All of its trials are missing, and it says which."""
    trials = [planned_trial("CAC", split=split) for split in (0, 1)]
    average = auroc_of(trials, [None, None])
    assert (average.mean, average.std, average.missing) == (None, None, tuple(trials))


def test_trials_that_are_not_planned_are_left_out():
    """Runs of an earlier plan may still be in an older file."""
    trial, other = planned_trial("CAC", split=0), planned_trial("CAC", split=1)
    runs = runs_table(plan_of([trial]), [run_of(trial, auroc=0.8), run_of(other, auroc=0.1)])
    assert averages([trial], by_id(runs))["CAC", "svhn", "auroc"].mean == 0.8
