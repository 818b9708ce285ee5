"""Comparisons over exports: what is paired, what is left out, what is said."""

import csv
import json

import pytest
from handmade import planned_trial, run_of, write_export

from analysis.tables.comparison import POOLED, compare
from analysis.tables.comparison_sheet import printable
from analysis.tables.render import FORMATS, render
from osr_core.errors import ConfigError

A = (0.90, 0.91, 0.92, 0.93, 0.94)
B = (0.80, 0.82, 0.84, 0.86, 0.88)


def folder_of(tmp_path, name, columns, dataset="svhn", seeds=(0,)):
    """An export whose rows have these AUROCs over splits; None is not finished."""
    trials, runs = [], []
    for title, values in columns.items():
        for split, value in enumerate(values):
            for seed in seeds:
                trial = planned_trial(title, dataset=dataset, split=split, seed=seed)
                trials.append(trial)
                if value is not None:
                    runs.append(run_of(trial, auroc=value + 0.01 * seed))
    (tmp_path / name).mkdir()
    return write_export(tmp_path / name, trials, runs)


def test_standings_have_means_ranks_differences_and_p(tmp_path):
    """Five wins of five: p 1/16, with one test nothing to correct."""
    made = compare([folder_of(tmp_path, "a", {"A": A, "B": B})])
    first, second = made.standings
    assert (first.row, first.mean_percent, first.p_value) == ("A", pytest.approx(92.0), None)
    assert second.difference_percent == pytest.approx(8.0)
    assert (second.p_value, second.p_holm) == (0.0625, 0.0625)
    assert (first.average_rank, second.average_rank, first.num_pairs) == (1, 2, 5)
    assert first.low_percent < 92.0 < first.high_percent


def test_correction_counts_every_test_shown(tmp_path):
    """Two rows against the first, on one metric: twice the smallest p."""
    made = compare([folder_of(tmp_path, "a", {"A": A, "B": B, "C": B})])
    assert [one.p_holm for one in made.standings] == [None, 0.125, 0.125]


def test_only_splits_that_all_rows_have_are_compared(tmp_path):
    """The others are named; nothing is averaged over different splits."""
    made = compare([folder_of(tmp_path, "a", {"A": A, "B": (0.8, None, 0.8, 0.8, 0.8)})])
    assert made.standings[0].num_pairs == 4
    assert made.standings[0].mean_percent == pytest.approx(92.25)
    assert made.left_out == ("svhn/1",)
    assert "left out, not there of all rows: svhn/1" in render(printable(made), "markdown")


def test_one_split_has_no_interval(tmp_path):
    """One of no width would say that the mean is certain; a table prints "-"."""
    made = compare([folder_of(tmp_path, "a", {"A": A[:1], "B": B[:1]})])
    assert {(one.low_percent, one.high_percent) for one in made.standings} == {(None, None)}
    assert "| A      | **90.0** | -        |" in render(printable(made), "markdown")
    (line, _) = csv.DictReader(render(printable(made), "csv").splitlines())
    assert line["low_percent"] == line["high_percent"] == ""


def test_seeds_are_averaged_within_a_split(tmp_path):
    """Seeds do not make more pairs."""
    made = compare([folder_of(tmp_path, "a", {"A": A, "B": B}, seeds=(0, 2))])
    assert made.standings[0].num_pairs == 5
    assert made.standings[0].mean_percent == pytest.approx(93.0)


def test_rows_of_several_sweeps_and_datasets_are_pooled(tmp_path):
    """Ten pairs on two datasets can be significant where five cannot."""
    folders = [
        folder_of(tmp_path, "a", {"A": A}),
        folder_of(tmp_path, "b", {"B": B}),
        folder_of(tmp_path, "c", {"A": A, "B": B}, dataset="cifar10"),
    ]
    made = compare(folders)
    (pooled,) = [one for one in made.standings if (one.dataset, one.row) == (POOLED, "B")]
    assert pooled.num_pairs == 10
    assert pooled.p_value < 0.01


def test_rows_datasets_and_metrics_are_chosen(tmp_path):
    """In the order given; the first row is the one compared with."""
    made = compare(
        [folder_of(tmp_path, "a", {"A": A, "B": B, "C": B})], ["B", "A"], ["svhn"], ["fpr95"]
    )
    assert [one.row for one in made.standings] == ["B", "A"]
    assert {one.metric for one in made.standings} == {"fpr95"}


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_the_numbers(format, tmp_path):
    """Machine formats with every digit."""
    made = compare([folder_of(tmp_path, "a", {"A": A, "B": B})])
    text = render(printable(made), format)
    if format == "csv":
        assert float(list(csv.DictReader(text.splitlines()))[1]["p_value"]) == 0.0625
    elif format == "json":
        assert json.loads(text)["lines"][1]["p_holm"] == 0.0625
    else:
        assert "0.062 (0.062)" in text
        assert "generalises over splits" in text


def test_what_cannot_be_compared_is_refused(tmp_path):
    """Names, a single row, rows that share nothing, and a row that is there twice."""
    one = folder_of(tmp_path, "a", {"A": A, "B": B})
    with pytest.raises(ConfigError) as caught:
        compare([one], ["A", "D"], ["mnist"], ["f1"])
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="two rows or more"):
        compare([one], ["A"])
    with pytest.raises(ConfigError, match="in two of the sweeps"):
        compare([one, folder_of(tmp_path, "b", {"A": A})])
    with pytest.raises(ConfigError, match="nothing is paired"):
        compare([folder_of(tmp_path, "c", {"A": (0.5, None), "B": (None, 0.5)})])
