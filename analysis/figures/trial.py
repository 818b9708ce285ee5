"""Figures about one trial: its ROC, its scores by known and unknown, and what was taken for what.

Each takes the trial, its scores, and what stands below it: what the figure rests on. `pictures`
draws all of them for the trial's run in MLflow.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.exports.labels import own_changes
from analysis.exports.schema import FinishedTrial, changes_in
from analysis.figures.source import Scores, rests_on_trial
from analysis.figures.style import GREY, KNOWN, UNKNOWN, canvas, draw_matrix, encoded, note, styled

BINS = 40
WRITTEN = 20  # classes whose shares and names fit into a confusion matrix


def roc(trial: FinishedTrial, scores: Scores, rests_on: str) -> Figure:
    """Share of unknowns recognised against share of knowns rejected, at every threshold."""
    rejected, recognised = roc_points(scores.unknown_score, scores.known)
    figure, (axes,) = canvas(height=3.0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.plot(rejected, recognised, color=KNOWN)
    axes.set(
        xlabel="known images rejected",
        ylabel="unknown images recognised",
        title=f"AUROC {100 * trial['auroc']:.1f} %",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    note(figure, rests_on)
    return figure


def histogram(trial: FinishedTrial, scores: Scores, rests_on: str) -> Figure:
    """Densities of the unknown score, and the threshold that accepts 95 % of the knowns."""
    figure, (axes,) = canvas(width=4.2)
    draw_histogram(axes, scores)
    axes.set_title(f"{trial['title']}: AUROC {100 * trial['auroc']:.1f} %")
    note(figure, rests_on)
    return figure


def confusion(trial: FinishedTrial, scores: Scores, rests_on: str) -> Figure:
    """What the images of each class were taken for, where 95 % of the knowns are accepted."""
    names = [*scores.known_names(), "unknown"]
    size = len(names)
    few, shown = size <= WRITTEN, min(size, WRITTEN)
    shares = confusion_shares(scores, size)
    figure, (axes,) = canvas(width=2.2 + 0.38 * shown, height=1.6 + 0.3 * shown)
    draw_matrix(axes, shares, written=few)
    if few:
        axes.set_xticks(range(size), [*names[:-1], "rejected"], rotation=45, ha="right")
        axes.set_yticks(range(size), names)
    axes.set(
        xlabel="taken for, % of the row" if few else "taken for; the last column is rejected",
        ylabel="true class" if few else "true class; the last row is unknown",
        title=f"{trial['title']}: macro F1 {100 * trial['macro_f1']:.1f} %",
    )
    note(figure, f"{rests_on}; 95 % of known images accepted")
    return figure


TrialFigure = Callable[[FinishedTrial, Scores, str], Figure]
TRIAL_FIGURES: Mapping[str, TrialFigure] = {
    "roc": roc,
    "histogram": histogram,
    "confusion": confusion,
}


def pictures(trial: FinishedTrial, scores: bytes) -> dict[str, bytes]:
    """Every figure about one trial as PNG, by file name.

    Args:
        trial: label, title, dataset, split, seed, trial_id, sweep, recipe, commit, the metrics as
            fractions, its hyperparameters and the method's defaults of them, and the spec's
            changes to the recipe for all methods; the label tells it from its method's other
            trials.
        scores: the artifact scores.parquet of its score stage.
    """
    table = Scores.from_table(pq.read_table(pa.BufferReader(scores)))
    own = own_changes(trial["hyperparameters"], trial.get("defaults", {}))
    changes = changes_in(trial["changes"]) | own
    rests_on = rests_on_trial(trial, trial["label"], changes)
    with styled():
        return {
            f"{name}.png": encoded(make(trial, table, rests_on), "png")
            for name, make in TRIAL_FIGURES.items()
        }


def confusion_shares(scores: Scores, size: int) -> NDArray[np.float64]:
    """(size, size) percent of each true class, the last being unknown, by what it was taken for.

    The last column counts the rejected: images that score above the threshold.
    """
    truth = np.where(scores.known, scores.label, size - 1)
    answer = np.where(scores.unknown_score <= scores.threshold, scores.predicted, size - 1)
    counts = np.zeros((size, size))
    np.add.at(counts, (truth, answer), 1)
    shares: NDArray[np.float64] = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


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
    edges = np.histogram_bin_edges(scores.unknown_score, BINS)
    for of, colour, name, hatch in (
        (scores.known, KNOWN, "known", ""),
        (~scores.known, UNKNOWN, "unknown", "////"),
    ):
        density, _ = np.histogram(scores.unknown_score[of], edges, density=True)
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.35, label=name)
        axes.stairs(density, edges, edgecolor=colour, hatch=hatch, linewidth=1.2)
    axes.axvline(
        scores.threshold, color="black", linewidth=1, linestyle="--", label="95 % of knowns"
    )
    axes.set(xlabel="unknown score", ylabel="density")
    axes.margins(y=0.25)
    legend = axes.legend(ncols=3, loc="upper center", columnspacing=1, handlelength=1.6)
    legend.set(frame_on=True)
    legend.get_frame().set(edgecolor="none", alpha=0.9)
