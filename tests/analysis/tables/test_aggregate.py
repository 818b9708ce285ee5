"""Averages: over what they are taken, and which trials share a row."""

import pytest
from handmade import plan_of, planned_trial, run_of, runs_table

from analysis.exports.read import by_id
from analysis.tables.aggregate import averages, row_labels


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


def test_row_is_named_by_what_differs():
    """The setting that all trials of a method share would only make the table wider."""
    trials = [planned_trial("CAC", alpha=alpha, anchor_weight=0.1) for alpha in (5.0, 10.0)]
    trials += [planned_trial("MLS", label_smoothing=0.0)]
    assert list(row_labels(trials).values()) == ["CAC (alpha=5)", "CAC (alpha=10)", "MLS"]


def test_setting_that_follows_the_dataset_makes_no_rows():
    """A published recipe smooths labels on one dataset only; the method is one row in both."""
    trials = [
        planned_trial("MLS", dataset="svhn", label_smoothing=0.0),
        planned_trial("MLS", dataset="tinyimagenet", label_smoothing=0.9),
    ]
    assert set(row_labels(trials).values()) == {"MLS"}


def test_override_that_some_trials_lack_is_named_where_it_is():
    """A sweep may set `training.epochs` for one entry of a method only; text needs no quotes."""
    trials = [
        planned_trial("PMAL", mode="median"),
        planned_trial("PMAL", mode="literal", **{"training.epochs": 5}),
    ]
    assert list(row_labels(trials).values()) == [
        "PMAL (mode=median)",
        "PMAL (mode=literal, training.epochs=5)",
    ]


def test_numbers_that_look_alike_stay_apart():
    """Rounding a setting in its label would average two rows into one."""
    trials = [planned_trial("CAC", alpha=alpha) for alpha in (0.12345678, 0.12345679)]
    assert len(set(row_labels(trials).values())) == 2
