"""Statistics against numbers worked by hand, slow readings and scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.tables.statistics import average_ranks, bootstrap, holm, wilcoxon


def slow_wilcoxon(differences):
    """All 2^n signs of the ranks: the share that is at least as far from the middle."""
    differences = [d for d in differences if d]
    sizes = sorted(abs(d) for d in differences)
    ranks = [sizes.index(abs(d)) + 1 for d in differences]
    total = sum(ranks)
    seen = sum(r for r, d in zip(ranks, differences, strict=True) if d > 0)
    sums = [
        sum(r for r, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    far = sum(abs(2 * s - total) >= abs(2 * seen - total) for s in sums)
    return far / len(sums)


def test_five_wins_of_five_have_p_one_sixteenth():
    """2 of the 32 signs are as one-sided as this: all plus and all minus."""
    assert wilcoxon([0.9, 0.8, 0.7, 0.6, 0.5], [0.89, 0.78, 0.67, 0.56, 0.45]) == 2 / 32


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_equals_counting_all_signs(seed):
    """And scipy's exact mode, both ways round."""
    random = np.random.default_rng(seed)
    a, b = random.normal(0.3, 1, 9), random.normal(0, 1, 9)
    assert wilcoxon(a, b) == pytest.approx(slow_wilcoxon(a - b))
    assert wilcoxon(a, b) == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)
    assert wilcoxon(b, a) == wilcoxon(a, b)


def test_equal_values_are_no_evidence():
    """No difference at all has p 1, and a zero among others is left out."""
    assert wilcoxon([0.5, 0.5], [0.5, 0.5]) == 1.0
    assert wilcoxon([0.3, 0.9, 0.8], [0.3, 0.8, 0.6]) == wilcoxon([0.9, 0.8], [0.8, 0.6])


def test_differences_that_rounding_parts_are_ties():
    """0.9 - 0.8 and 0.8 - 0.7 differ in the 17th digit; ranks must not."""
    tied = wilcoxon([0.9, 0.8, 0.1], [0.8, 0.7, 0.6])
    assert tied == wilcoxon([1, 1, -5], [0, 0, 0])


def test_unpaired_values_are_refused():
    """A missing split must not shift the others."""
    with pytest.raises(ValueError, match="pairs are needed"):
        wilcoxon([0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="pairs are needed"):
        wilcoxon([], [])


def test_holm_equals_the_worked_example():
    """Four tests: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 which must not fall below 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_bootstrap_is_seeded_and_brackets_the_mean():
    """Equal seeds, equal interval; a constant has no width; it equals scipy's within noise."""
    values = [0.7, 0.75, 0.8, 0.9, 0.95, 0.6, 0.85]
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(values)
    assert bootstrap(range(50)) != bootstrap(range(50), seed=1)
    assert min(values) < low < np.mean(values) < high < max(values)
    other = stats.bootstrap((values,), np.mean, method="percentile", rng=3).confidence_interval
    assert (low, high) == pytest.approx((other.low, other.high), abs=0.005)
    assert bootstrap([0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.7]])
def test_one_value_has_no_interval(values):
    """Every draw from it is the same, and an interval of no width claims to be certain."""
    with pytest.raises(ValueError, match=f"at least two values, not {len(values)}"):
        bootstrap(values)


def test_average_ranks_equal_the_worked_example():
    """Two tasks: ranks 1, 2, 3 and 2.5, 1, 2.5 by a tie."""
    scores = [[0.9, 0.8, 0.7], [0.5, 0.6, 0.5]]
    assert average_ranks(scores).tolist() == [1.75, 1.5, 2.75]
    assert average_ranks(scores, lower_is_better=True).tolist() == [2.25, 2.5, 1.25]
