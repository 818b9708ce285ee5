"""Comparisons over exports: what is paired, what is left out, what is said."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import planned_trial, run_of, write_export

from analysis.exports.schema import RUNS
from analysis.tables.comparison import POOLED, compare
from analysis.tables.comparison_sheet import printable
from analysis.tables.render import FORMATS, render
from osr_core.errors import ConfigError

A = (0.90, 0.91, 0.92, 0.93, 0.94)
B = (0.80, 0.82, 0.84, 0.86, 0.88)


def folder_of(tmp_path, name, columns, dataset="svhn", seeds=(0,), **about):
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
    return write_export(tmp_path / name, trials, runs, **about)


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


def test_difference_that_rounds_to_nothing_has_one_sign(tmp_path):
    """Minus nothing would look like a loss."""
    near = tuple(value + 1e-5 for value in A)
    text = render(printable(compare([folder_of(tmp_path, "a", {"A": A, "B": near})])), "markdown")
    assert "+0.0" in text
    assert "-0.0" not in text


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


def test_only_seeds_that_all_rows_have_are_averaged(tmp_path):
    """Otherwise the one with more seeds would be measured more often, and on other ones."""
    folders = [
        folder_of(tmp_path, "a", {"A": A}, seeds=(0, 2)),
        folder_of(tmp_path, "b", {"B": B}, seeds=(2, 3)),
    ]
    made = compare(folders)
    assert made.standings[0].mean_percent == pytest.approx(94.0)  # seed 2 adds 0.02
    names = [f"svhn/{split} seed {seed}" for split in range(5) for seed in (0, 3)]
    assert made.left_out == tuple(names)
    with pytest.raises(ConfigError, match=r"seeds 0 2; C: .* seeds 1"):
        compare([folders[0], folder_of(tmp_path, "c", {"C": B}, seeds=(1,))])


def test_protocols_are_not_paired_with_each_other(tmp_path):
    """Split 0 of one has other classes than split 0 of the other, or nobody has checked."""
    ours = folder_of(tmp_path, "a", {"A": A})
    theirs = folder_of(tmp_path, "b", {"B": B}, protocol="arpl")
    with pytest.raises(ConfigError, match=r"have no protocol, .* in common.* A: protocol cac on"):
        compare([ours, theirs])


def test_methods_of_one_sweep_on_other_protocols_are_not_paired(tmp_path):
    """As in CAC's Table 2, whose rows are on different lists of classes."""
    trials = [planned_trial("A"), planned_trial("B", protocol="arpl")]
    runs = [run_of(trial) for trial in trials]
    with pytest.raises(
        ConfigError, match=r"have no protocol, .* B \(protocol=arpl\): protocol arpl"
    ):
        compare([write_export(tmp_path, trials, runs)])


def test_splits_of_another_protocol_are_left_out_by_name(tmp_path):
    """One row may have more than the other."""
    folders = [
        folder_of(tmp_path, "a", {"A": A, "B": B}),
        folder_of(tmp_path, "b", {"A": A[:1]}, protocol="arpl"),
    ]
    made = compare(folders)
    assert (made.standings[0].num_pairs, made.left_out) == (5, ("svhn/0 of arpl",))
    assert made.protocols == {"svhn": "cac"}


def test_one_dataset_under_two_protocols_is_refused(tmp_path):
    """Their class lists may be the same, and the same evidence would count twice."""
    folders = [
        folder_of(tmp_path, "a", {"A": A, "B": B}),
        folder_of(tmp_path, "b", {"A": A, "B": B}, protocol="arpl"),
    ]
    with pytest.raises(ConfigError, match=r"svhn is there under the protocols arpl and cac, .*"):
        compare(folders)


def test_header_names_each_dataset_s_protocol_and_each_sweep_s_changes(tmp_path):
    """One's own images have a split file each; a small network is not the recipe's."""
    changes = {"backbone.width": 0.25}
    folders = [
        folder_of(tmp_path, "a", {"A": A, "B": B}, **changes),
        folder_of(tmp_path, "b", {"A": A, "B": B}, dataset="cifar10", protocol="random"),
    ]
    header = render(printable(compare(folders)), "markdown").splitlines()[2]
    assert header == (
        "sweeps a (backbone.width=0.25), b, protocol random on cifar10, cac on svhn, "
        "selection none, commit 1a2b3c4"
    )


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
        [folder_of(tmp_path, "a", {"A": A, "B": B, "C": B})],
        ["B", "A"],
        ["svhn"],
        ["fpr95_known_positive"],
    )
    assert [one.row for one in made.standings] == ["B", "A"]
    assert {one.metric for one in made.standings} == {"fpr95_known_positive"}


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
    with pytest.raises(ConfigError, match="two rows or more; there is none"):
        compare([])
    with pytest.raises(ConfigError, match=r"in the sweeps hand_made and hand_made\. Compare one"):
        compare([one, folder_of(tmp_path, "b", {"A": A})])
    with pytest.raises(ConfigError, match="nothing can be compared"):
        compare([folder_of(tmp_path, "c", {"A": (0.5, None), "B": (None, 0.5)})])


def named_apart(folder):
    """An export whose trials say its folder's name for their sweep's."""
    runs = pq.read_table(folder / RUNS)
    named = pa.array([folder.name] * len(runs))
    pq.write_table(runs.set_column(1, runs.schema.field("sweep"), named), folder / RUNS)
    return folder


def test_sweeps_on_other_files_of_one_dataset_are_named(tmp_path):
    """Half of a test set is another test set; a sweep that gives no row has no say."""
    folders = [
        named_apart(folder_of(tmp_path, n, {n: A}, sweep=n, data={"svhn/test": prints}))
        for n, prints in (("a", "1"), ("b", "2"), ("c", "1"))
    ]
    text = render(printable(compare(folders, rows=["a", "b"])), "markdown")
    assert "The sweeps had other files of svhn/test, or read them otherwise" in text
    assert compare(folders, rows=["a", "c"]).other_data == ()


def test_split_files_of_one_name_are_not_taken_for_one_protocol(tmp_path):
    """Two folders may each have a mine.json; nothing in their splits would be paired."""
    folders = [
        named_apart(
            folder_of(
                tmp_path, n, {n: A}, sweep=n, classes={"svhn/0 of mine.json": digest}, protocol="x"
            )
        )
        for n, digest in (("a", "1"), ("b", "2"), ("c", "1"))
    ]
    with pytest.raises(ConfigError, match=r"svhn/0 of mine\.json has other classes in one of"):
        compare(folders, rows=["a", "b"])
    assert len(compare(folders, rows=["a", "c"]).standings) == 2
