"""Who leads, against runs made by hand."""

import dataclasses

import pytest
from handmade import BY_ORACLE, plan_of, planned_trial, run_of

from analysis.exports.read import by_id
from analysis.report.leaderboard import boards
from analysis.report.missing import filled_by
from analysis.tables.comparison import compare
from analysis.tables.sweep_table import table

A = (0.90, 0.91, 0.92, 0.93, 0.94)
B = (0.80, 0.82, 0.84, 0.86, 0.88)


def made_of(columns, seeds=(0,), **about):
    """Trials and finished runs of rows by title; None is not finished."""
    trials, runs = [], []
    for title, values in columns.items():
        for split, value in enumerate(values):
            for seed in seeds:
                trial = planned_trial(title, split=split, seed=seed, **about.get(title, {}))
                trials.append(trial)
                if value is not None:
                    runs.append(run_of(trial, auroc=value + 0.01 * seed, accuracy=0.9))
    return trials, runs


def board_of(columns, seeds=(0,), **about):
    """The one board of these rows."""
    trials, runs = made_of(columns, seeds, **about)
    (board,) = boards(plan_of(trials), {run["trial_id"]: run for run in runs})
    return board


def test_leader_leads_by_the_mean_difference_over_splits():
    """Differences of 10, 9, 8, 7 and 6 points."""
    board = board_of({"B": B, "A": A})
    assert board.lead == "A leads B by 8.0 points of AUROC [6.8, 9.2], 5 splits."
    assert "a hint and no proof" in board.verdict
    assert [(place.row, place.rank) for place in board.places] == [("A", 1), ("B", 2)]
    assert board.best.row == "A"


def test_sentence_has_the_p_value_of_the_table_too():
    """Of two tests Holm doubles the smaller p: 1/16 is 0.062, corrected 0.125."""
    board = board_of({"A": A, "B": B, "C": [value - 0.2 for value in A]})
    assert "p = 0.062, and 0.125 corrected for all rows (Holm)" in board.verdict
    assert board.places[1].p_holm == pytest.approx(0.125)
    alone = board_of({"A": A, "B": B})
    assert "Holm" not in alone.verdict


def test_difference_is_the_one_that_table_compare_prints(tmp_path):
    """One rule, whoever asks."""
    from handmade import write_export

    trials, runs = made_of({"A": A, "B": B, "C": (0.85, 0.95, 0.8, 0.9, 0.7)}, seeds=(0, 2))
    standings = {one.row: one for one in compare([write_export(tmp_path, trials, runs)]).standings}
    (board,) = boards(plan_of(trials), {run["trial_id"]: run for run in runs})
    for place in board.places:
        one = standings[place.row]
        assert place.mean == pytest.approx(one.mean_percent)
        assert (place.low, place.high) == pytest.approx((one.low_percent, one.high_percent))
        if place.behind:
            measured = (place.behind.mean, place.behind.low, place.behind.high, place.p_holm)
            assert measured == pytest.approx(
                (
                    one.difference_percent,
                    one.difference_low_percent,
                    one.difference_high_percent,
                    one.p_holm,
                )
            )


def test_means_are_those_of_the_sweeps_table(tmp_path):
    """Also of a row in progress."""
    from handmade import small_sweep

    from analysis.exports.read import read_runs

    runs, plan = read_runs(small_sweep(tmp_path))
    printed = {
        (block.dataset, row.label, heading.text): entry.mean_percent
        for block in table(tmp_path).blocks
        for row in block.rows
        for heading, entry in zip(block.headings, row.entries, strict=True)
    }
    for board in boards(plan, by_id(runs)):
        for place in board.places:
            for metric, title in (("accuracy", "ACC"), ("auroc", "AUROC"), ("oscr", "OSCR")):
                mean = place.averages[metric].mean
                shown = printed[board.dataset, place.row, title]
                assert (None if mean is None else 100 * mean) == shown


@pytest.mark.parametrize(
    ("columns", "lead", "meaning"),
    [
        ({"A": A}, "A is the only row: there is nothing to compare it with.", ""),
        ({"A": A, "B": A}, "A and B are level, 5 splits.", "may well be chance"),
        ({"A": (0.9,), "B": (0.8,)}, "A leads B by 10.0 points of AUROC, 1 split.", "One split"),
        ({"A": (0.9, None)}, "No row has all of its trials yet, so none leads.", ""),
        ({"A": (), "B": (None,)}, "No row has all of its trials yet, so none leads.", ""),
    ],
)
def test_sentence_says_what_there_is_to_say(columns, lead, meaning):
    """Alone, level, on one split, in progress."""
    board = board_of(columns)
    assert board.lead == lead
    assert meaning in board.verdict
    assert bool(meaning) == bool(board.verdict)


def test_row_in_progress_or_chosen_by_test_images_leads_nobody():
    """Whatever its mean; both are listed, by their means, without a rank."""
    columns = {"A": A, "B": B, "Best": (0.99, None, None, None, None), "Chosen": (0.99,) * 5}
    board = board_of(columns, Chosen={"selection": BY_ORACLE})
    assert board.lead.startswith("A leads B by 8.0 points")
    ranks = {place.row: place.rank for place in board.places}
    assert ranks == {"Best": 0, "Chosen (ORACLE)": 0, "A": 1, "B": 2}
    assert [place.oracle for place in board.places] == [False, True, False, False]


def test_imported_row_on_fewer_splits_leads_nobody():
    """All of its trials are there, and still it was never tried on the hard splits."""
    columns = {"A": A, "B": B, "Theirs": (0.99,)}
    trials, runs = made_of(columns)
    trials[-1] = dataclasses.replace(trials[-1], imported="scores of a file")
    (board,) = boards(plan_of(trials), {run["trial_id"]: run for run in runs})
    theirs = board.places[0]
    assert (theirs.row, theirs.rank, theirs.imported, theirs.behind.num_pairs) == (
        *("Theirs", 0, True),
        1,
    )
    assert board.lead.startswith("A leads B")


def test_seeds_are_averaged_before_splits_are_compared():
    """Three seeds do not make more pairs."""
    board = board_of({"A": A, "B": B}, seeds=(0, 2))
    assert board.places[1].behind.num_pairs == 5
    assert board.places[0].splits[0] == pytest.approx(91)


def test_protocols_of_one_dataset_have_a_board_each():
    """Split 0 of one is not split 0 of the other."""
    trials = [planned_trial("A"), planned_trial("B", protocol="arpl")]
    made = boards(plan_of(trials), {t.trial_id: run_of(t) for t in trials})
    assert [(board.dataset, board.protocol) for board in made] == [
        ("svhn", "cac"),
        ("svhn", "arpl"),
    ]


def test_command_that_fills_cells_names_the_packaged_spec():
    """A sweep of one's own has a file that only its owner knows."""
    assert filled_by("digits-all", ("digits_all",)) == "osr run digits_all"
    assert filled_by("mine", ("digits_all",)) == "osr run SPEC.yaml"
