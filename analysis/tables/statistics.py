"""Comparing methods over the same splits: paired tests, intervals, ranks. Pure; numpy and scipy.

What is paired: method A's and B's value on the same dataset and split (the mean over its seeds).
    wilcoxon     signed-rank test of "the differences are symmetric about zero", two-sided; exact
                 for few pairs without zeros or ties, scipy's normal approximation else
    holm         p-values corrected for a family of tests; the family-wise error is kept
    bootstrap    percentile interval of the mean; splits are drawn with replacement, seeded. It
                 generalises over splits drawn like these, with these seeds and test images; with
                 five splits it is too narrow
    ranks        mean rank of each method over tasks, 1 best, ties share the mean

Five splits give a two-sided exact p of 1/16 at best: a difference cannot be significant at 5 % on
one dataset with five splits, whatever it is. Pool datasets for that.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 10_000


def wilcoxon(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p of the signed-rank test for paired values (N,) and (N,).

    1.0 where nothing differs, which scipy leaves undefined. Zero differences are dropped
    (Wilcoxon's own rule).

    Raises:
        ValueError: lengths differ, or no pair.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"pairs are needed, got shapes {a.shape} and {b.shape}.")
    differences = np.round(a - b, 12)  # 0.9 - 0.8 and 0.8 - 0.7 are a tie
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="wilcox").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p-values in the given order: the k-th smallest of m times m - k + 1, never falling.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values, kind="stable")
    count, largest = len(p_values), 0.0
    corrected = [0.0] * count
    for step, position in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (count - step) * p_values[position]))
        corrected[position] = largest
    return corrected


def bootstrap(values: ArrayLike, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean of values (N,), which are drawn with replacement.

    Raises:
        ValueError: fewer than two values, of which every draw is the same.
    """
    sample = np.asarray(values, float)
    if len(sample) < 2:
        raise ValueError(f"an interval needs at least two values, not {len(sample)}.")
    drawn = np.random.default_rng(seed).integers(0, len(sample), (RESAMPLES, len(sample)))
    outside = 100 * (1 - level) / 2
    low, high = np.percentile(sample[drawn].mean(1), [outside, 100 - outside])
    return float(low), float(high)


def average_ranks(scores: ArrayLike, lower_is_better: bool = False) -> NDArray[np.float64]:
    """Mean rank (M,) of M methods over N tasks from scores (N, M); 1 is best, ties share the mean.

    Source: Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    table = np.round(np.asarray(scores, float), 12)
    ranks = stats.rankdata(table if lower_is_better else -table, axis=1)
    mean: NDArray[np.float64] = ranks.mean(0)
    return mean
