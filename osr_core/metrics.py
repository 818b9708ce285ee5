"""How well known classes are told apart and unknown ones told off; numpy, float64, from scores.

N test images, K known classes. `unknown_score` (N,) float: larger means more unknown, and unknown
is the positive class. `predicted` (N,) int in [0, K): the best known class. `label` (N,) int: the
known class in [0, K), or UNKNOWN. Every metric is a fraction in [0, 1], depends on the order of the
scores alone, and moves tied scores together. Every one raises a ValueError for arrays of different
lengths, a score that is not finite, or a test set without a known or without an unknown image.
"""

import numpy as np
from numpy.typing import ArrayLike

from osr_core.confidence import aurc, auroc_error, ece
from osr_core.data.base import UNKNOWN
from osr_core.scored_arrays import (
    Floats,
    divided,
    labels_of,
    number_of_known,
    predicted_of,
    scores_of,
)


def accuracy(predicted: ArrayLike, label: ArrayLike) -> float:
    """Share of the known images whose class is right; nothing is rejected.

    Raises:
        ValueError: lengths differ, or no known image.
    """
    labels = labels_of(label)
    known = labels != UNKNOWN
    if not known.any():
        raise ValueError(f"all {len(labels)} test images are unknown; accuracy needs a known one.")
    return float((predicted_of(predicted, labels) == labels)[known].mean())


def auroc(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Chance that an unknown image scores above a known one, a tie counting one half.

    The area under the ROC curve, as the Mann-Whitney statistic; O(N log N).
    """
    known, unknown = divided(unknown_score, label)
    return _pairs_won(known, unknown) / (len(known) * len(unknown))


def oscr(unknown_score: ArrayLike, predicted: ArrayLike, label: ArrayLike) -> float:
    """Area under the correct classification rate against the false positive rate.

    A threshold t accepts every image with a score of at most t. CCR(t) is the share of known images
    that are accepted and rightly classified, FPR(t) the share of unknown images accepted; between
    the points of neighbouring thresholds the curve is a straight line. Its area is the share of
    pairs (known, unknown) in which the known image is right and scores lower, a tie counting one
    half; so a constant score earns accuracy / 2. O(N log N).

    Source: Dhamija et al., "Reducing network agnostophobia", NeurIPS 2018.
    """
    labels = labels_of(label)
    known, unknown = divided(unknown_score, labels)
    right = (predicted_of(predicted, labels) == labels)[labels != UNKNOWN]
    return _pairs_won(known[right], unknown) / (len(known) * len(unknown))


def aupr_unknown(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Average precision with unknown as the positive class ("AUPR-out")."""
    known, unknown = divided(unknown_score, label)
    return _average_precision(unknown, known)


def aupr_known(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Average precision with known as the positive class ("AUPR-in"); low scores speak for it."""
    known, unknown = divided(unknown_score, label)
    return _average_precision(-known, -unknown)


def fpr95_known_positive(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Share of the unknown images accepted at the threshold that accepts 95 % of the known ones.

    The false positives of "known" as the positive class: Hendrycks and Gimpel's successors from
    ODIN (Liang et al., ICLR 2018) on mean this by FPR95.
    """
    known, unknown = divided(unknown_score, label)
    return float((unknown <= _threshold95(known)).mean())


def fpr95_unknown_positive(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Share of the known images rejected at the threshold that rejects 95 % of the unknown ones.

    The false positives of "unknown" as the positive class: Outlier Exposure (Hendrycks et al.,
    ICLR 2019, section 4.2) means this by FPR95.
    """
    known, unknown = divided(unknown_score, label)
    return float((-known <= _threshold95(-unknown)).mean())


def macro_f1(
    unknown_score: ArrayLike, predicted: ArrayLike, label: ArrayLike, num_known: int
) -> float:
    """Mean F1 over the K known classes and "unknown", with 95 % of the known test images accepted.

    The threshold is taken from the test images themselves, so that methods are compared at the same
    share of rejected knowns. A class that is neither in the test set nor ever predicted counts 0.

    Raises:
        ValueError: as all here, or a label or prediction of K or more.
    """
    labels, num = labels_of(label), number_of_known(num_known)
    scores, classes = scores_of(unknown_score, labels), predicted_of(predicted, labels)
    known, _ = divided(scores, labels)
    largest = max(labels.max(), classes.max())
    if largest >= num or classes.min() < 0:
        raise ValueError(
            f"classes must be in [0, {num}), got labels up to {labels.max()} and predictions "
            f"from {classes.min()} to {classes.max()}."
        )
    truth = np.where(labels == UNKNOWN, num, labels)
    answer = np.where(scores <= _threshold95(known), classes, num)
    size = num + 1
    hits = np.bincount(truth[truth == answer], minlength=size)
    named = np.bincount(truth, minlength=size) + np.bincount(answer, minlength=size)
    return float((2 * hits / np.maximum(named, 1)).mean())


def evaluate(
    unknown_score: ArrayLike,
    predicted: ArrayLike,
    label: ArrayLike,
    num_known: int,
    confidence: ArrayLike,
) -> dict[str, float]:
    """All metrics of one trial by the names that exports use.

    `confidence` (N,): the probability of the predicted class, in [0, 1].
    """
    return {
        "accuracy": accuracy(predicted, label),
        "auroc": auroc(unknown_score, label),
        "auroc_error": auroc_error(unknown_score, label),
        "oscr": oscr(unknown_score, predicted, label),
        "aupr_unknown": aupr_unknown(unknown_score, label),
        "aupr_known": aupr_known(unknown_score, label),
        "fpr95_known_positive": fpr95_known_positive(unknown_score, label),
        "fpr95_unknown_positive": fpr95_unknown_positive(unknown_score, label),
        "macro_f1": macro_f1(unknown_score, predicted, label, num_known),
        "aurc": aurc(unknown_score, predicted, label),
        "ece": ece(confidence, predicted, label),
    }


def _pairs_won(known: Floats, unknown: Floats) -> float:
    """Number of pairs in which the unknown score is larger, each tie one half; exact."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left")
    not_above = np.searchsorted(ordered, unknown, "right")
    return int((below + not_above).sum()) / 2


def _average_precision(positive: Floats, negative: Floats) -> float:
    """sum_t (recall_t - recall_{t-1}) precision_t over the distinct scores, from the largest down.

    Source: the definition of scikit-learn's `average_precision_score`.
    """
    scores = np.concatenate([positive, negative])
    _, group = np.unique(-scores, return_inverse=True)
    found = np.bincount(group[: len(positive)], minlength=group.max() + 1)
    precision = np.cumsum(found) / np.cumsum(np.bincount(group))
    return float((found * precision).sum() / len(positive))


def _threshold95(scores: Floats) -> np.float64:
    """The smallest score t such that at least 95 % of the scores are at most t."""
    accepted = -(-95 * len(scores) // 100)  # rounded up, in integers
    threshold: np.float64 = np.sort(scores)[accepted - 1]
    return threshold
