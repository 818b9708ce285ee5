"""PMAL's Figures 4 to 6, from our trials.

    robustness       how r is distributed over the training images, and the share of each interval
                     that the first classifier gets right                               (Figure 4a)
    prototypes       known test images and prototypes                                   (Figure 4b)
    one_against_ten  scores with one prototype per class and with ten                   (Figure 5a)
    embedding        the same as prototypes, with unknown images                        (Figure 6)

Embeddings are laid out in the plane by t-SNE with a fixed seed, started from their principal
components.
"""

import json
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from analysis.exports.read import read_embeddings, read_mined
from analysis.exports.schema import FinishedTrial
from analysis.figures.source import Source
from analysis.figures.style import BLUE, COLOURS, GREY, MARKERS, ORANGE, canvas, note
from analysis.figures.trial import draw_histogram
from osr_core.errors import DataError

INTERVALS = 10
PERPLEXITY = 30
MOST_IMAGES = 1500  # known and unknown together; of more, every n-th


def robustness(source: Source) -> Figure:
    """Bars: share of the images in each interval of r; line: their accuracy."""
    mined = read_mined(source.folder)
    stages = mined["stage_id"].to_pylist()
    first = stages[0]
    mine = mined.filter([stage == first for stage in stages])
    r, correct = mine["robustness"].to_numpy(), mine["correct"].to_numpy(zero_copy_only=False)
    edges = np.linspace(0, 1, INTERVALS + 1)
    interval = np.clip(np.digitize(r, edges) - 1, 0, INTERVALS - 1)
    counts = np.bincount(interval, minlength=INTERVALS)
    right = np.bincount(interval, weights=correct, minlength=INTERVALS)
    middles = (edges[:-1] + edges[1:]) / 2
    figure, (axes,) = canvas(width=4.2)
    shares = 100 * counts / counts.sum()
    axes.bar(middles, shares, 0.09, color=BLUE, label="images")
    filled = counts > 0
    accuracy = 100 * right[filled] / counts[filled]
    axes.plot(middles[filled], accuracy, color=ORANGE, marker="s", label="accuracy")
    axes.plot(middles[filled], accuracy, color="black", linewidth=0.5)
    axes.set(xlabel="robustness r", ylabel="%", xlim=(0, 1), ylim=(0, 105))
    axes.legend(loc="center left")
    task = f"{mine['dataset'][0].as_py()}/{mine['split'][0].as_py()}"
    others = len(set(stages)) - 1
    about = source.rests_on(source.trials("PMAL"))
    which = f"mining {first[:8]}" + f", the first of {others + 1}" * bool(others)
    note(figure, f"{len(r)} training images of {task}, {which}; {about}")
    return figure


def prototypes(source: Source) -> Figure:
    """Known images and prototypes."""
    return _plane(source, with_unknown=False)


def embedding(source: Source) -> Figure:
    """Known and unknown images, and prototypes."""
    return _plane(source, with_unknown=True)


def one_against_ten(source: Source) -> Figure:
    """Score densities of the same split with T = 1 and T = 10, other settings being equal."""
    by_count: dict[int, list[FinishedTrial]] = {1: [], 10: []}
    for trial in source.trials("PMAL"):
        by_count.get(_prototypes(trial), []).append(trial)
    like = next((_other(trial) for trial in by_count[1]), None)
    by_count = {
        count: [trial for trial in trials if _other(trial) == like]
        for count, trials in by_count.items()
    }
    if not all(by_count.values()):
        raise DataError(
            f"{source.folder} needs finished trials with T = 1 and with T = 10 that are alike "
            "otherwise."
        )
    figure, both = canvas(2)
    for axes, (count, trials) in zip(both, by_count.items(), strict=True):
        draw_histogram(axes, source.scores(trials[0]))
        mean = float(np.mean([trial["auroc"] for trial in trials]))
        axes.set_title(f"T = {count}: AUROC {100 * mean:.1f} %")
    trial = by_count[10][0]
    drawn = f"densities of {source.label(trial)} {trial['dataset']}/{trial['split']}"
    about = source.rests_on([trial for trials in by_count.values() for trial in trials])
    note(figure, f"{drawn} and of T = 1, AUROC over all splits; {about}")
    return figure


def tsne(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) positions of points (N, D); the same for the same points."""
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=0, method="exact")
    result: NDArray[np.float64] = placed.fit_transform(points)
    return result


def _plane(source: Source, with_unknown: bool) -> Figure:
    trial = source.one("PMAL")
    table = read_embeddings(source.folder, trial["trial_id"])
    if not len(table):
        raise DataError(f"trial {trial['trial_id']} left no embeddings.")
    label = table["label"].to_numpy()
    mined = np.array([role == "prototype" for role in table["role"].to_pylist()])
    images = (~mined & (with_unknown | (label >= 0))).nonzero()[0]
    images = images[:: -(-len(images) // MOST_IMAGES)]
    shown = np.concatenate([images, mined.nonzero()[0]])
    positions = tsne(np.array(table["embedding"].to_pylist())[shown])
    figure, (axes,) = canvas(width=5.0, height=4.0)
    label, mined = label[shown], mined[shown]
    unknown = label < 0
    if with_unknown:
        x, y = positions[unknown].T
        axes.scatter(x, y, s=8, color="#bbbbbb", marker="x", linewidths=0.7, label="unknown")
    for k, name in enumerate(source.scores(trial).known_names()):
        of = (label == k) & ~mined
        colour = COLOURS[k % len(COLOURS)]
        marker = MARKERS[k % len(MARKERS)]
        x, y = positions[of].T
        axes.scatter(x, y, s=9, color=colour, marker=marker, linewidths=0, label=name)
    x, y = positions[mined].T
    stars: Any = {"marker": "*", "facecolor": "white", "edgecolor": "black", "linewidths": 0.6}
    axes.scatter(x, y, s=30, label="prototype", **stars)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=GREY)
    figure.legend(loc="outside right upper", markerscale=1.5, labelspacing=0.25, title="class")
    note(figure, f"t-SNE; {source.rests_on_trial(trial)}")
    return figure


def _prototypes(trial: FinishedTrial) -> int:
    count: int = json.loads(trial["hyperparameters"])["prototypes"]
    return count


def _other(trial: FinishedTrial) -> tuple[str, dict[str, Any]]:
    """The dataset, and the settings but for the number of prototypes."""
    settings = json.loads(trial["hyperparameters"])
    return trial["dataset"], {name: settings[name] for name in settings if name != "prototypes"}
