"""How sure a method is, and how sure its AUROC is; numpy, float64. Arguments as in `metrics`."""

import math

import numpy as np
from numpy.typing import ArrayLike

from osr_core.data.base import UNKNOWN
from osr_core.scored_arrays import Floats, divided, labels_of, predicted_of, scores_of

NUM_BINS = 15  # of confidence, of equal width


def auroc_error(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Standard error of the AUROC over other test images of the same classes.

    The 95 % interval is the AUROC +- 1.96 of these. A side with one image adds nothing to it. What
    another training would change is not in it. O(N log N).

    Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 1988.
    """
    known, unknown = divided(unknown_score, label)
    variance = 0.0
    for here, there in ((known, unknown), (unknown, known)):
        if len(here) > 1:
            shares = np.sort(_share_below(there, here))  # added up in an order of their own
            variance += float(np.var(shares, ddof=1)) / len(here)
    return math.sqrt(variance)


def aurc(unknown_score: ArrayLike, predicted: ArrayLike, label: ArrayLike) -> float:
    """Area under risk against coverage: the mean share of errors among the images accepted.

    The k images of the lowest unknown score are accepted, for k = 1 to N; an unknown image is an
    error, as is a known one of another class. Images of one score share their errors evenly. Lower
    is better.

    Source: Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
    """
    labels = labels_of(label)
    scores = scores_of(unknown_score, labels)
    wrong = (predicted_of(predicted, labels) != labels).astype(np.float64)
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    share = np.bincount(group, weights=wrong) / counts
    errors = np.cumsum(share[np.sort(group)])
    return float((errors / np.arange(1, len(scores) + 1)).mean())


def ece(confidence: ArrayLike, predicted: ArrayLike, label: ArrayLike) -> float:
    """Expected calibration error of the known images: |accuracy - confidence|, averaged over bins.

    `confidence` (N,): the probability of the predicted class, in [0, 1]; (b - 1) / 15 < p <= b / 15
    are in bin b, and 0 is in the first.

    Raises:
        ValueError: as all of `metrics`, no known image, or a confidence outside [0, 1].

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3.
    """
    labels = labels_of(label)
    sure = scores_of(confidence, labels, "confidence")
    if (sure < 0).any() or (sure > 1).any():
        raise ValueError(f"a confidence must be in [0, 1], got {sure.min()} to {sure.max()}.")
    known = labels != UNKNOWN
    if not known.any():
        raise ValueError("calibration is of known images; there is none.")
    right = (predicted_of(predicted, labels) == labels)[known].astype(np.float64)
    order = np.lexsort((right, sure[known]))  # the images' own order must not count
    of_known, right = sure[known][order], right[order]
    bins = np.maximum(np.ceil(of_known * NUM_BINS).astype(np.int64) - 1, 0)
    gaps = np.bincount(bins, weights=right - of_known, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(of_known))


def _share_below(scores: Floats, of: Floats) -> Floats:
    """(len(of),) the share of `scores` below each value, a tie counting one half."""
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")
    return below / (2 * len(scores))
