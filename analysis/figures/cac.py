"""CAC's Figures 2 to 5, from our trials.

    sensitivity  accuracy and AUROC over lambda (alpha at 10) and over alpha (lambda at 0.1)
    components   both terms, and each alone
    mistaken     unknown images by their class and what they were taken for
    examples     wrongly accepted and rightly rejected images with their scores

Figures 2, 3 and 4 are of all splits that the sweep has on one dataset and protocol. An image is
accepted where its score is at most the one that accepts 95 % of the known test images; Figure 4 can
have another share.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.exports.schema import FinishedTrial
from analysis.figures.source import Source
from analysis.figures.style import COLOURS, DASHES, HATCHES, MARKERS, canvas, draw_matrix, note
from analysis.papers.cac import DEFAULTS
from analysis.papers.published import paper_tables
from osr_core.errors import ConfigError, DataError

MEASURED = {"accuracy": "ACC", "auroc": "AUROC"}
VARIANTS = {"both terms": (True, True), "anchor only": (False, True), "tuplet only": (True, False)}
LARGEST = 12  # unknown classes shown: those of which most images are accepted
EXAMPLES = 5  # images of each kind


def sensitivity(source: Source) -> Figure:
    """Figure 2; grey: the range that the paper calls stable."""
    stable = paper_tables()["cac"]["figures"]["fig2_stable_range"]
    there = source.comparable("CAC")
    figure, both = canvas(2)
    for axes, name, other, symbol in (
        (both[0], "anchor_weight", "alpha", "lambda"),
        (both[1], "alpha", "anchor_weight", "alpha"),
    ):
        trials = [trial for trial in there if _setting(trial, other) == DEFAULTS[other]]
        axes.axvspan(*stable[symbol], color="#eeeeee", zorder=0)
        for number, (metric, title) in enumerate(MEASURED.items()):
            points = _by(trials, name, metric)
            values, means = zip(*((x, 100 * fmean(y)) for x, y in points), strict=True)
            axes.plot(
                values,
                means,
                color=COLOURS[number],
                linestyle=DASHES[number],
                marker=MARKERS[number],
                label=title,
            )
        axes.set(xlabel=rf"$\{symbol}$", ylabel="%", xscale="log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    both[0].legend(title="grey: stable in the paper", title_fontsize=7)
    note(figure, f"{there[0]['dataset']}, {source.rests_on(there)}")
    return figure


def components(source: Source) -> Figure:
    """Figure 3; bars are means, whiskers the deviation over trials; one trial has none."""
    figure, (axes,) = canvas(width=4.2)
    comparable = source.comparable("CAC")
    there = {
        name: [
            trial
            for trial in comparable
            if (_setting(trial, "tuplet"), _setting(trial, "anchor")) == switches
        ]
        for name, switches in VARIANTS.items()
    }
    shown = {name: trials for name, trials in there.items() if trials}
    for number, (metric, title) in enumerate(MEASURED.items()):
        positions = np.arange(len(shown)) + 0.38 * (number - 0.5)
        values = [[100 * trial[metric] for trial in trials] for trials in shown.values()]
        bars = axes.bar(
            positions,
            [fmean(one) for one in values],
            0.34,
            yerr=[stdev(one) if len(one) > 1 else math.nan for one in values],
            color=COLOURS[number],
            hatch=HATCHES[number],
            edgecolor="white",
            ecolor="black",
            capsize=2,
            label=title,
        )
        axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    axes.set_xticks(range(len(shown)), list(shown))
    axes.set(ylabel="%", ylim=(0, 118))
    axes.grid(False, axis="x")
    axes.legend(ncols=2, loc="upper left")
    note(figure, f"{comparable[0]['dataset']}, {source.rests_on(comparable)}")
    return figure


def mistaken(source: Source) -> Figure:
    """Figure 4 as a matrix: rows are unknown classes, each with what its images were taken for.

    The trials of all splits are pooled, of CIFAR-10 as in the paper where it is there. All unknown
    images count unless `accepted` names a threshold: so the authors' networks take 82.7 % of cars
    for trucks, where the paper prints 83 %; at the threshold that accepts 95 % it is 87.4 %.
    """
    trials = source.repetitions(source.one("CAC", "cifar10"))
    counts = _taken_for(source, trials)
    names = sorted({name for taken in counts.values() for name in taken})
    largest = sorted(counts, key=lambda name: (-counts[name].total(), name))[:LARGEST]
    shares = np.array(
        [[100 * counts[own][name] / counts[own].total() for name in names] for own in largest]
    )
    figure, (axes,) = canvas(width=2.8 + 0.45 * len(names), height=1.8 + 0.3 * len(largest))
    draw_matrix(axes, shares)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    labels = [f"{name} ({counts[name].total()})" for name in largest]
    axes.set_yticks(range(len(largest)), labels)
    axes.set(xlabel="taken for, % of the row", ylabel="own class (images)")
    which = "all unknown images"
    if source.accepted is not None:
        which = f"unknown images accepted where {source.accepted} % of the known ones are"
    axes.set_title(which)
    note(figure, source.rests_on_trials(trials))
    return figure


def _taken_for(source: Source, trials: Sequence[FinishedTrial]) -> dict[str, Counter[str]]:
    """By own class, how many images were taken for which known class, over all trials.

    Raises:
        DataError: no unknown image is accepted.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        scores = source.scores(trial)
        names, counted = scores.known_names(), ~scores.known
        if source.accepted is not None:
            counted &= scores.unknown_score <= scores.accepting(source.accepted)
        for position in counted.nonzero()[0].tolist():
            own = scores.class_name[position] or "unknown"
            counts[own][names[scores.predicted[position]]] += 1
    if not counts:
        raise DataError("no unknown image is accepted in any trial; nothing was mistaken.")
    return counts


def examples(source: Source) -> Figure:
    """Figure 5: the most known-looking unknown images, and the most unknown-looking ones.

    Of TinyImageNet as in the paper, where it is there.
    """
    if source.images is None:
        raise ConfigError("figure cac5 shows test images: say where they are with --data-root.")
    trial = source.one("CAC", "tinyimagenet")
    scores = source.scores(trial)
    unknown = (~scores.known).nonzero()[0]
    ordered = unknown[np.argsort(scores.unknown_score[unknown], kind="stable")].tolist()
    count = min(EXAMPLES, len(ordered) // 2)
    chosen = [*ordered[:count], *ordered[len(ordered) - count :]]
    pictures = source.images([scores.image_id[position] for position in chosen])
    names = scores.known_names()
    figure = Figure(figsize=(1.25 * count, 3.7))
    for axes, position, picture in zip(
        figure.subplots(2, count).flat, chosen, pictures, strict=True
    ):
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        own = scores.class_name[position] or "unknown"
        taken = names[scores.predicted[position]]
        axes.set_title(f"{own}\nas {taken}\n{scores.unknown_score[position]:.3g}", fontsize=7)
        axes.axis("off")
    figure.suptitle(
        f"unknown images of the lowest and of the highest score\naccepted up to "
        f"{scores.threshold:.3g}",
        fontsize=8,
    )
    note(figure, source.rests_on_trial(trial))
    return figure


def _setting(trial: FinishedTrial, name: str) -> Any:
    return json.loads(trial["hyperparameters"])[name]


def _by(trials: list[FinishedTrial], name: str, metric: str) -> list[tuple[float, list[float]]]:
    """Values of a metric by a setting, ascending."""
    if not trials:
        raise DataError(f"the sweep has no trial that varies {name} alone.")
    groups: dict[float, list[float]] = defaultdict(list)
    for trial in trials:
        groups[_setting(trial, name)].append(trial[metric])
    return sorted(groups.items())
