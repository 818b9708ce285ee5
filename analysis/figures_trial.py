"""Figures about one trial: its ROC, and the scores of its known and unknown test images."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import GREY, KNOWN, UNKNOWN, canvas, note
from analysis.sources import Scores, Source

BINS = 40


def roc(source: Source) -> Figure:
    """Share of unknowns recognised against share of knowns rejected, at every threshold."""
    run = source.one()
    scores = source.scores(run)
    rejected, recognised = roc_points(scores.unknown_score, scores.known)
    figure, (axes,) = canvas(height=3.0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.plot(rejected, recognised, color=KNOWN)
    axes.set(
        xlabel="known images rejected",
        ylabel="unknown images recognised",
        title=f"AUROC {100 * run['auroc']:.1f} %",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    note(figure, source.rests_on(run))
    return figure


def histogram(source: Source) -> Figure:
    """Densities of the unknown score, and the threshold that accepts 95 % of the knowns."""
    run = source.one()
    figure, (axes,) = canvas(width=4.2)
    draw_histogram(axes, source.scores(run))
    axes.set_title(f"{run['title']}: AUROC {100 * run['auroc']:.1f} %")
    note(figure, source.rests_on(run))
    return figure


def roc_points(
    unknown_score: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (knowns rejected, unknowns recognised) of all thresholds; tied scores are one point.

    Scores (N,), larger means more unknown; (M,) each, from (0, 0) to (1, 1).
    """
    _, group = np.unique(-unknown_score, return_inverse=True)
    size = int(group.max()) + 1
    curves = [
        np.concatenate([[0.0], np.cumsum(np.bincount(group[of], minlength=size)) / of.sum()])
        for of in (known, ~known)
    ]
    return curves[0], curves[1]


def draw_histogram(axes: Axes, scores: Scores) -> None:
    """Two densities with the same edges; outlines and a hatch tell them apart in grey."""
    low, high = scores.unknown_score.min(), scores.unknown_score.max()
    edges = np.linspace(low, high, BINS + 1).tolist()
    for of, colour, name, hatch in (
        (scores.known, KNOWN, "known", ""),
        (~scores.known, UNKNOWN, "unknown", "////"),
    ):
        values = scores.unknown_score[of]
        axes.hist(values, edges, density=True, color=colour, alpha=0.35, label=name)
        axes.hist(
            values,
            edges,
            density=True,
            histtype="step",
            edgecolor=colour,
            hatch=hatch,
            linewidth=1.2,
        )
    axes.axvline(
        scores.threshold, color="black", linewidth=1, linestyle="--", label="95 % of knowns"
    )
    axes.set(xlabel="unknown score", ylabel="density")
    axes.margins(y=0.25)
    legend = axes.legend(ncols=3, loc="upper center", columnspacing=1, handlelength=1.6)
    legend.set(frame_on=True)
    legend.get_frame().set(edgecolor="none", alpha=0.9)
