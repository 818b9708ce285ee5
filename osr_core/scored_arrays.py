"""Scores, predictions and labels of N test images as arrays of one length, each value checked.

Every function raises a ValueError that says what is wrong, and where.
"""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osr_core.data.base import UNKNOWN

LARGEST = 2**31 - 1  # class number
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def divided(unknown_score: ArrayLike, label: ArrayLike) -> tuple[Floats, Floats]:
    """The scores of the known and of the unknown images, neither empty."""
    labels = labels_of(label)
    scores = scores_of(unknown_score, labels)
    known, unknown = scores[labels != UNKNOWN], scores[labels == UNKNOWN]
    if not len(known) or not len(unknown):
        raise ValueError(
            f"open set metrics compare known with unknown images; of {len(labels)} test images "
            f"{len(known)} are known and {len(unknown)} unknown (label {UNKNOWN})."
        )
    return known, unknown


def scores_of(values: ArrayLike, labels: Ints, name: str = "unknown score") -> Floats:
    """(N,) finite numbers, one for each label."""
    given = like_labels(values, labels, name.replace(" ", "_"))
    if given.dtype.kind not in "biuf":
        raise ValueError(f"each {name} must be a real number, not of type {given.dtype}.")
    scores: Floats = given.astype(np.float64)
    lost = ~np.isfinite(scores)
    if bad := int(lost.sum()):
        first = int(lost.argmax())
        raise ValueError(
            f"{bad} of {len(scores)} {name}s are no finite numbers, first {scores[first]} at "
            f"position {first}; they cannot be ranked."
        )
    return scores


def labels_of(label: ArrayLike) -> Ints:
    """(N,) positions among the known classes, or UNKNOWN."""
    labels = array_of(label, "label")
    refuse_fractions(labels, "label")
    if labels.ndim != 1 or (labels < UNKNOWN).any():
        raise ValueError(
            f"label must be one-dimensional with classes from 0 and {UNKNOWN} for unknown, "
            f"got shape {labels.shape} with smallest value {labels.min(initial=0)}."
        )
    return labels.astype(np.int64)


def refuse_fractions(values: NDArray[Any], name: str) -> None:
    """Insist on whole numbers of any type that class numbers can be."""
    each = [] if values.dtype.kind in "iu" else values.ravel().tolist()
    if wrong := [one for one in each if not is_whole(one)]:
        raise ValueError(f"a {name} must be a whole number; there is {wrong[0]!r}.")
    if values.max(initial=0) > LARGEST:
        raise ValueError(f"a {name} must be at most {LARGEST}; there is {values.max()}.")


def is_whole(value: Any) -> bool:
    """Whether something is a whole number of Python's or numpy's: 2 and 2.0 are, True is not."""
    if isinstance(value, float | np.floating):
        return bool(value.is_integer())
    return isinstance(value, Integral) and not isinstance(value, bool)


def number_of_known(num_known: int) -> int:
    """K, a whole number of any type."""
    number = array_of(num_known, "num_known")
    if number.ndim:
        raise ValueError(f"num_known must be one number, not of shape {number.shape}.")
    refuse_fractions(number, "num_known")
    return int(number)


def predicted_of(predicted: ArrayLike, labels: Ints) -> Ints:
    """(N,) classes, one for each label."""
    array = like_labels(predicted, labels, "predicted")
    refuse_fractions(array, "predicted class")
    return array.astype(np.int64)


def like_labels(values: ArrayLike, labels: Ints, name: str) -> NDArray[Any]:
    """Values as an array of the labels' length."""
    array = array_of(values, name)
    if array.shape != labels.shape:
        raise ValueError(
            f"{name} has shape {array.shape} and label {labels.shape}; there must be one of each "
            "per test image."
        )
    return array


def array_of(values: ArrayLike, name: str) -> NDArray[Any]:
    """The values, none of which is masked: behind a mask stands whatever was there before.

    Tensors may lie on any device, in any precision, and have a gradient.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} is masked in places; give a value for every test image.")
    given: Any = values
    try:
        if hasattr(given, "detach"):
            given = given.detach().cpu()
            given = given.double() if given.is_floating_point() else given  # numpy lacks bfloat16
        return np.asarray(given)
    except (RuntimeError, TypeError, ValueError) as error:  # the last of lists of unlike lengths
        raise ValueError(f"{name} is nothing that an array can be made of: {error}") from error
