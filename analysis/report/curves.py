"""ROC and OSCR curves of a row: the mean over its splits, and how far the splits lie apart.

Curves are averaged at fixed false positive rates, each split's being the mean over its seeds. The
band reaches from the lowest split to the highest; one split has none.
    ROC   unknown images recognised against known images rejected
    OSCR  known images accepted and rightly classified against unknown images accepted
          (Dhamija et al., NeurIPS 2018); its area is the metric of that name
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.figures.source import Scores
from analysis.figures.trial import roc_points

RATES = np.linspace(0, 1, 41) ** 2  # closer together where thresholds in use lie
Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """One curve over splits, each array (len(RATES),)."""

    mean: Curve
    low: Curve  # the lowest split
    high: Curve
    num_splits: int


def oscr_points(scores: Scores) -> tuple[Curve, Curve]:
    """Points (unknowns accepted, knowns accepted and right) of all thresholds, (M,) each.

    From (0, 0) to (1, accuracy); tied scores are one point.
    """
    _, group = np.unique(scores.unknown_score, return_inverse=True)
    size = int(group.max()) + 1
    known = scores.known
    right = known & (scores.predicted == scores.label)
    accepted = np.cumsum(np.bincount(group[~known], minlength=size)) / (~known).sum()
    correct = np.cumsum(np.bincount(group[right], minlength=size)) / known.sum()
    return np.concatenate([[0.0], accepted]), np.concatenate([[0.0], correct])


def at_rates(points: tuple[Curve, Curve]) -> Curve:
    """A curve's height at RATES, on straight lines between its points; the top of a step."""
    curve: Curve = np.interp(RATES, *points)
    return curve


def roc_curve(scores: Scores) -> Curve:
    """One trial's ROC at RATES."""
    return at_rates(roc_points(scores.unknown_score, scores.known))


def oscr_curve(scores: Scores) -> Curve:
    """One trial's OSCR curve at RATES."""
    return at_rates(oscr_points(scores))


def band(curves: Iterable[tuple[int, Curve]]) -> Band:
    """Of the curves of some trials, each with the number of its split; at least one."""
    by_split: dict[int, list[Curve]] = defaultdict(list)
    for split, curve in curves:
        by_split[split].append(curve)
    splits = np.stack([np.mean(of, axis=0) for of in by_split.values()])
    return Band(splits.mean(axis=0), splits.min(axis=0), splits.max(axis=0), len(splits))
