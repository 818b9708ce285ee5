"""How well known classes are told apart and unknown ones told off; numpy, float64, from scores.

N test images, K known classes. `unknown_score` (N,) float: larger means more unknown, and unknown
is the positive class. `predicted` (N,) int in [0, K): the best known class. `label` (N,) int: the
known class in [0, K), or UNKNOWN. Every metric is a fraction in [0, 1], depends on the order of the
scores alone, and moves tied scores together. Every one raises a ValueError for arrays of different
lengths, a score that is not finite, or a test set without a known or without an unknown image.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osr_core.data.base import UNKNOWN

LARGEST = 2**31 - 1  # class number
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def accuracy(predicted: ArrayLike, label: ArrayLike) -> float:
    """Share of the known images whose class is right; nothing is rejected.

    Raises:
        ValueError: lengths differ, or no known image.
    """
    labels = _labels(label)
    known = labels != UNKNOWN
    if not known.any():
        raise ValueError(f"all {len(labels)} test images are unknown; accuracy needs a known one.")
    return float((_predicted(predicted, labels) == labels)[known].mean())


def auroc(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Chance that an unknown image scores above a known one, a tie counting one half.

    The area under the ROC curve, as the Mann-Whitney statistic; O(N log N).
    """
    known, unknown = _divided(unknown_score, label)
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
    labels = _labels(label)
    known, unknown = _divided(unknown_score, labels)
    right = (_predicted(predicted, labels) == labels)[labels != UNKNOWN]
    return _pairs_won(known[right], unknown) / (len(known) * len(unknown))


def aupr_unknown(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Average precision with unknown as the positive class ("AUPR-out")."""
    known, unknown = _divided(unknown_score, label)
    return _average_precision(unknown, known)


def aupr_known(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Average precision with known as the positive class ("AUPR-in"); low scores speak for it."""
    known, unknown = _divided(unknown_score, label)
    return _average_precision(-known, -unknown)


def fpr95(unknown_score: ArrayLike, label: ArrayLike) -> float:
    """Share of the unknown images accepted at the threshold that accepts 95 % of the known ones."""
    known, unknown = _divided(unknown_score, label)
    return float((unknown <= _threshold95(known)).mean())


def macro_f1(
    unknown_score: ArrayLike, predicted: ArrayLike, label: ArrayLike, num_known: int
) -> float:
    """Mean F1 over the K known classes and "unknown", with 95 % of the known test images accepted.

    The threshold is taken from the test images themselves, so that methods are compared at the same
    share of rejected knowns. A class that is neither in the test set nor ever predicted counts 0.

    Raises:
        ValueError: as all here, or a label or prediction of K or more.
    """
    labels, num = _labels(label), _num_known(num_known)
    scores, classes = _scores(unknown_score, labels), _predicted(predicted, labels)
    known, _ = _divided(scores, labels)
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
    unknown_score: ArrayLike, predicted: ArrayLike, label: ArrayLike, num_known: int
) -> dict[str, float]:
    """All metrics of one trial by the names that exports use."""
    return {
        "accuracy": accuracy(predicted, label),
        "auroc": auroc(unknown_score, label),
        "oscr": oscr(unknown_score, predicted, label),
        "aupr_unknown": aupr_unknown(unknown_score, label),
        "aupr_known": aupr_known(unknown_score, label),
        "fpr95": fpr95(unknown_score, label),
        "macro_f1": macro_f1(unknown_score, predicted, label, num_known),
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


def _threshold95(known: Floats) -> np.float64:
    """The smallest known score t such that at least 95 % of the known scores are at most t."""
    accepted = -(-95 * len(known) // 100)  # rounded up, in integers
    threshold: np.float64 = np.sort(known)[accepted - 1]
    return threshold


def _divided(unknown_score: ArrayLike, label: ArrayLike) -> tuple[Floats, Floats]:
    """The scores of the known and of the unknown images, neither empty."""
    labels = _labels(label)
    scores = _scores(unknown_score, labels)
    known, unknown = scores[labels != UNKNOWN], scores[labels == UNKNOWN]
    if not len(known) or not len(unknown):
        raise ValueError(
            f"open set metrics compare known with unknown images; of {len(labels)} test images "
            f"{len(known)} are known and {len(unknown)} unknown (label {UNKNOWN})."
        )
    return known, unknown


def _scores(unknown_score: ArrayLike, labels: Ints) -> Floats:
    given = _like(unknown_score, labels, "unknown_score")
    if given.dtype.kind not in "biuf":
        raise ValueError(f"an unknown score must be a real number, not of type {given.dtype}.")
    scores: Floats = given.astype(np.float64)
    lost = ~np.isfinite(scores)
    if bad := int(lost.sum()):
        first = int(lost.argmax())
        raise ValueError(
            f"{bad} of {len(scores)} unknown scores are no finite numbers, first {scores[first]} "
            f"at position {first}; they cannot be ranked."
        )
    return scores


def _labels(label: ArrayLike) -> Ints:
    labels = _array(label, "label")
    _refuse_fractions(labels, "label")
    if labels.ndim != 1 or (labels < UNKNOWN).any():
        raise ValueError(
            f"label must be one-dimensional with classes from 0 and {UNKNOWN} for unknown, "
            f"got shape {labels.shape} with smallest value {labels.min(initial=0)}."
        )
    return labels.astype(np.int64)


def _refuse_fractions(values: NDArray[Any], name: str) -> None:
    """Insist on whole numbers of any type that class numbers can be."""
    kind = values.dtype.kind
    each = [] if kind in "iu" else values.ravel().tolist()
    if wrong := [one for one in each if kind != "f" or not one.is_integer()]:
        raise ValueError(f"a {name} must be a whole number; there is {wrong[0]!r}.")
    if values.max(initial=0) > LARGEST:
        raise ValueError(f"a {name} must be at most {LARGEST}; there is {values.max()}.")


def _num_known(num_known: int) -> int:
    number = _array(num_known, "num_known")
    if number.ndim:
        raise ValueError(f"num_known must be one number, not of shape {number.shape}.")
    _refuse_fractions(number, "num_known")
    return int(number)


def _predicted(predicted: ArrayLike, labels: Ints) -> Ints:
    array = _like(predicted, labels, "predicted")
    _refuse_fractions(array, "predicted class")
    return array.astype(np.int64)


def _like(values: ArrayLike, labels: Ints, name: str) -> NDArray[Any]:
    array = _array(values, name)
    if array.shape != labels.shape:
        raise ValueError(
            f"{name} has shape {array.shape} and label {labels.shape}; there must be one of each "
            "per test image."
        )
    return array


def _array(values: ArrayLike, name: str) -> NDArray[Any]:
    """The values, none of which is masked: behind a mask stands whatever was there before.

    Tensors may lie on any device, in any precision, and have a gradient.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} is masked in places; give a value for every test image.")
    given: Any = values
    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = given.double() if given.is_floating_point() else given  # numpy lacks bfloat16
    try:
        return np.asarray(given)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name} is nothing that an array can be made of: {error}") from error
