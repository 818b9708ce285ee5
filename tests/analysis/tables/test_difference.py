"""What may be said of a difference over splits."""

import pytest

from analysis.tables.difference import difference, verdict
from analysis.tables.statistics import bootstrap


def test_difference_is_of_pairs():
    """Mean, interval and test of 10, 9, 8, 7 and 6 points; five wins of five give p = 1/16."""
    found = difference([90, 91, 92, 93, 94], [80, 82, 84, 86, 88])
    assert found.mean == pytest.approx(8)
    assert (found.low, found.high) == bootstrap([10, 9, 8, 7, 6])
    assert (found.p_value, found.num_pairs, found.num_ahead) == (0.0625, 5, 5)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([3], "One split cannot tell"),
        ([3, -3, 2, -2, 1], "may well be chance: the interval over 5 splits includes 0"),
        (
            [3, 3.5, 2, 2.5, 1],
            "no proof: the interval leaves out 0, but the signed-rank test",
        ),
        ([-3, -3.5, -2, -2.5, -1], "no proof: the interval leaves out 0"),
        (
            [3, 3.5, 2, 2.5, 1, 1.5, 4, 4.5],
            "more than chance between splits: the signed-rank test over 8",
        ),
        ([0, 0, 0], "may well be chance"),
        ([3, 3.5], "2 splits are too few to tell whether this means anything"),
        ([3, 3.5, 2, 4], "can be under 0.125"),
        ([3, 3.5, 2, 4, -0.5], "may well be chance: the signed-rank test over 5 splits gives"),
    ],
)
def test_a_lead_means_what_interval_and_test_both_allow(pairs, said):
    """Eight wins of eight give p = 2/256; five of five cannot prove anything."""
    assert said in verdict(difference(pairs, [0] * len(pairs)))


def test_what_is_certain_of_one_row_is_a_hint_of_the_best_of_many():
    """Of ten rows, p = 2/256 of the best is 0.078."""
    found = difference([3, 3.5, 2, 2.5, 1, 1.5, 4, 4.5], [0] * 8)
    assert "more than chance" in verdict(found, 10 / 256)
    said = verdict(found, 20 / 256)
    assert "a hint and no proof" in said
    assert "p = 0.008, and 0.078 corrected for all rows (Holm)" in said
