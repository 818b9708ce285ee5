"""One trial's scores as a picture, and what its images were taken for."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from analysis.figures.source import Scores
from analysis.figures.trial import confusion_shares
from analysis.report.plot import Line, plot

BINS = 40
CROWDED = 60  # percent in one bin
MATRIX = 12  # known classes whose confusion is shown in full
LISTED = 10  # of more classes, the largest confusions


@dataclass(frozen=True)
class Confusion:
    """What images were taken for where 95 % of the known ones are accepted."""

    names: tuple[str, ...]  # of the known classes, and "unknown"; () where they are too many
    shares: tuple[tuple[float, ...], ...]  # percent of the true class, by row; the last: rejected
    largest: tuple[tuple[str, str, float], ...]  # true class, taken for, percent; no right answers


@dataclass(frozen=True)
class Portrait:
    """What one trial's scores look like."""

    histogram: Markup
    confusion: Confusion


def portrait(scores: Scores, title: str) -> Portrait:
    """Of the test images of one trial."""
    return Portrait(histogram(scores, title), confusion(scores))


def densities(
    values: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Edges (BINS + 1,) of equal bins, and the percent (BINS,) of the known and unknown images.

    The bins span 99 % of the values (N,); the outermost hold what lies beyond.
    """
    low, high = np.percentile(values, [0.5, 99.5])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    inside = np.clip(values, edges[0], edges[-1])
    return edges, [
        100 * np.histogram(inside[of], edges)[0] / max(1, of.sum()) for of in (known, ~known)
    ]


def ranked(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """The percent of `among` below each value, half of those that are equal to it."""
    in_order = np.sort(among)
    below = np.searchsorted(in_order, values, "left")
    not_above = np.searchsorted(in_order, values, "right")
    percent: NDArray[np.float64] = 50 * (below + not_above) / len(among)
    return percent


def histogram(scores: Scores, title: str) -> Markup:
    """Known against unknown images by their score, with the threshold that accepts 95 %.

    By the rank of the score where one bin would hold more than CROWDED of either: scores of some
    methods spread over orders of magnitude.
    """
    values, threshold, label = scores.unknown_score, scores.threshold, "unknown score"
    edges, shares = densities(values, scores.known)
    if max(float(share.max()) for share in shares) > CROWDED and len(np.unique(values)) > BINS:
        threshold = float(ranked(np.array([threshold]), values)[0])
        values, label = ranked(values, values), "unknown score, by rank, %"
        edges, shares = densities(values, scores.known)
    steps = np.repeat(edges, 2)[1:-1].tolist()
    lines = []
    for number, (name, share) in enumerate(zip(("known", "unknown"), shares, strict=True)):
        heights = np.repeat(share, 2).round(2).tolist()
        lines.append(Line(name, number, steps, heights, [0.0] * len(steps), heights))
    return plot(
        lines,
        title,
        (label, "% of the images"),
        x=(float(edges[0]), float(edges[-1])),
        y=(0, max(float(share.max()) for share in shares)),
        marks=[(threshold, "95 % of knowns")],
    )


def confusion(scores: Scores) -> Confusion:
    """In full where classes are few; else the largest confusions."""
    known = scores.known_names()
    shares = confusion_shares(scores, len(known) + 1)
    names = [*known, "unknown"]
    if len(known) <= MATRIX:
        return Confusion(tuple(names), tuple(map(tuple, shares.round(1).tolist())), ())
    wrong = shares.copy()
    np.fill_diagonal(wrong, 0)
    answers = [*known, "rejected"]
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    places = (np.unravel_index(int(place), wrong.shape) for place in order)
    return Confusion((), (), tuple((names[a], answers[b], float(wrong[a, b])) for a, b in places))
