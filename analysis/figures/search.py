"""One search: its history, which settings mattered, and where good candidates lie.

    history      each candidate's mean over splits and seeds, and the best so far
    importance   share of the variance that each setting explains alone (fANOVA)
    slices       the mean against each setting
    coordinates  each complete candidate as a line across its settings
    front        of two rules: candidates that no other beats in both

A pruned candidate has met fewer splits than the others. It is drawn hollow, as far behind the best
as it was on those, and neither the best so far nor an importance counts it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from analysis.exports.candidates import read_searches
from analysis.exports.searches import Candidate, Search, choices_in
from analysis.figures.source import Source
from analysis.figures.style import BLUE, GREY, ORANGE, VERMILION, note
from osr_core.errors import ConfigError
from osr_core.wording import in_text

COLUMNS = 3  # panels side by side
SLICES = 6  # settings shown, the most important first
WIDTH, HEIGHT = 3.4, 2.6  # inches of a panel
CHOSEN = "chosen"
LOOKS: dict[str, dict[str, Any]] = {
    "complete": {"color": BLUE, "s": 16},
    "pruned": {"facecolors": "none", "edgecolors": GREY, "s": 16, "linewidths": 0.8},
    CHOSEN: {"marker": "*", "color": ORANGE, "edgecolors": "black", "s": 90, "linewidths": 0.6},
}
BEST = 0.25  # share of the complete candidates that is coloured in coordinates


def asked_for(source: Source) -> Figure:
    """The figure of the search that was asked for, or of the sweep's first."""
    return search_figure(source, chosen_search(read_searches(source.folder), source.search))


def search_figure(source: Source, search: Search) -> Figure:
    """Everything about one search."""
    from analysis.figures.importance import importances  # Optuna takes a second to import

    shares = importances(search)
    order = [*shares, *(name for name in search.space if name not in shares)]
    shown = order[:SLICES]
    rows = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)]
    figure = Figure(figsize=(WIDTH * COLUMNS, HEIGHT * (2 + len(rows))))
    grid = figure.add_gridspec(2 + len(rows), 1)
    first, *middle, last = (grid[number, 0] for number in range(2 + len(rows)))
    has_front = len(search.rules) > 1
    widths = (1.2, 0.9, 0.9) if has_front else (2, 1)
    panels = [figure.add_subplot(part) for part in side_by_side(first, widths)]
    draw_history(panels[0], search)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, len(labels)))
    draw_importances(panels[1], shares)
    if has_front:
        draw_front(panels[2], search)
    for names, row in zip(rows, middle, strict=True):
        draw_slices(figure, row, search, names)
    draw_coordinates(figure.add_subplot(last), search, shown)
    note(figure, rests_on(source, search))
    return figure


def chosen_search(searches: Sequence[Search], begins: str) -> Search:
    """The search whose id begins so; the first where nothing is asked.

    Raises:
        ConfigError: none does, or several do.
    """
    found = [each for each in searches if each.search_id.startswith(begins)]
    if begins and len(found) != 1:
        ids = ", ".join(f"{s.search_id[:8]} ({s.method} on {s.dataset})" for s in searches)
        raise ConfigError(f"search '{begins}' fits {len(found)} of the sweep's searches: {ids}.")
    return found[0]


def side_by_side(row: SubplotSpec, widths: Sequence[float]) -> list[SubplotSpec]:
    """The parts of a row, whose widths are as these numbers."""
    grid = row.subgridspec(1, len(widths), width_ratios=list(widths))
    return [grid[0, column] for column in range(len(widths))]


def rests_on(source: Source, search: Search) -> str:
    """For the foot: which search, its rule and what that looked at."""
    splits, seeds = {step.split for step in search.steps}, {step.seed for step in search.steps}
    return (
        f"search {search.search_id[:8]} of {search.method} on {search.dataset} by {search.select} "
        f"({search.looks_at}), {len(search.candidates)} of {search.planned} candidates, "
        f"{len(splits)} splits x {len(seeds)} seeds, sweep {source.plan.sweep}, commit "
        f"{source.plan.commit}"
    )


def draw_history(axes: Axes, search: Search) -> None:
    """Means by number; a candidate that failed is a cross on the lower edge."""
    draw_points(axes, search, [each.number for each in search.candidates])
    complete = [each for each in search.candidates if each.state == "complete"]
    if complete:
        ends = [*(each.number for each in complete), len(search.candidates) - 1]
        bests = np.maximum.accumulate([percent_of(each, search.select) for each in complete])
        axes.step(ends, [*bests, bests[-1]], where="post", color=BLUE, label="best so far")
    failed = [each.number for each in search.candidates if each.state == "failed"]
    if failed:
        low = [0.02] * len(failed)
        across = axes.get_xaxis_transform()
        axes.plot(failed, low, "x", color=VERMILION, transform=across, label="failed")
    axes.set(xlabel="candidate", ylabel=f"{search.select}, %", title="History")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_points(axes: Axes, search: Search, places: Sequence[float]) -> None:
    """The mean of each candidate at its place; hollow where it was pruned."""
    groups: dict[str, list[tuple[float, float]]] = {name: [] for name in LOOKS}
    for place, each in zip(places, search.candidates, strict=True):
        estimate = search.estimate(each)
        if estimate is not None and each.state in ("complete", "pruned"):
            name = CHOSEN if each.chosen is not None else each.state
            groups[name].append((place, 100 * estimate))
    for name, points in groups.items():
        if points:
            axes.scatter(
                *zip(*points, strict=True), label=name, zorder=3, clip_on=False, **LOOKS[name]
            )


def draw_importances(axes: Axes, shares: dict[str, float]) -> None:
    """Bars, the largest on top."""
    axes.set(title="Importance", xlabel="% of variance (fANOVA)")
    if not shares:
        axes.text(0.5, 0.5, "too few candidates", ha="center", transform=axes.transAxes, color=GREY)
        axes.set(xticks=[], yticks=[])
        return
    names = list(shares)[::-1]
    bars = axes.barh(names, [100 * shares[name] for name in names], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
    axes.set_xlim(0, 112)
    axes.grid(False, axis="y")


def draw_slices(figure: Figure, row: SubplotSpec, search: Search, names: Sequence[str]) -> None:
    """One panel for each setting; they share the scale of the mean."""
    first = None
    for name, part in zip(names, side_by_side(row, [1] * len(names)), strict=True):
        axes = figure.add_subplot(part, sharey=first)
        dimension = search.space[name]
        places = [place_of(dimension, each.params.get(name)) for each in search.candidates]
        draw_points(axes, search, places)
        axes.set_xlabel(name)
        if choices := choices_in(dimension):
            axes.set_xticks(range(len(choices)), [in_text(choice) for choice in choices])
            axes.set_xlim(-0.5, len(choices) - 0.5)
        else:
            axes.set_xscale("log" if dimension.get("log") else "linear")
            axes.set_xlim(dimension["low"], dimension["high"])
        if first is None:
            first = axes
            axes.set_ylabel(f"{search.select}, %")
        else:
            axes.tick_params(labelleft=False)


def place_of(dimension: Any, value: Any) -> float:
    """Where a setting's value lies on its axis: itself, or its position in a choice."""
    if value is None:
        return math.nan
    choices = choices_in(dimension)
    return float(value if choices is None else choices.index(value))


def share_of(dimension: Any, value: Any) -> float:
    """Where a value lies between the ends of its setting, in [0, 1]; NaN where it has none."""
    place, choices = place_of(dimension, value), choices_in(dimension)
    if choices is not None:
        return place / max(1, len(choices) - 1)
    low, high = float(dimension["low"]), float(dimension["high"])
    if dimension.get("log"):
        place, low, high = math.log(place), math.log(low), math.log(high)
    return (place - low) / (high - low)


def draw_coordinates(axes: Axes, search: Search, names: Sequence[str]) -> None:
    """Lines across the settings, the best in colour and on top; the last axis is the mean."""
    complete = [each for each in search.ranked if each.state == "complete"]
    best = complete[: math.ceil(BEST * len(complete))]
    means = [percent_of(each, search.select) for each in complete] or [0.0]
    low, high = min(means), max(means)
    spread = (high - low) or 1.0
    for each in reversed(complete):
        heights = [share_of(search.space[name], each.params.get(name)) for name in names]
        heights.append((percent_of(each, search.select) - low) / spread)
        width, colour = (1.4, BLUE) if each in best else (0.6, "#bbbbbb")
        if each.chosen is not None:
            width, colour = 2.2, ORANGE
        axes.plot(range(len(heights)), heights, color=colour, linewidth=width)
    ends = [ends_of(search.space[name]) for name in names] + [(f"{low:.1f}", f"{high:.1f}")]
    for position, (bottom, top) in enumerate(ends):
        axes.axvline(position, color="black", linewidth=0.6)
        axes.text(position, -0.05, bottom, ha="center", va="top", fontsize=7)
        axes.text(position, 1.03, top, ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(ends)), [*names, "mean, %"], fontsize=8)
    axes.tick_params(axis="x", pad=18, length=0)
    axes.set(ylim=(0, 1), yticks=[])
    axes.set_title("Complete candidates, the best quarter in blue", pad=18)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def ends_of(dimension: Any) -> tuple[str, str]:
    """What stands at the ends of a setting's axis."""
    choices = choices_in(dimension)
    if choices is not None:
        return in_text(choices[0]), in_text(choices[-1])
    return in_text(dimension["low"]), in_text(dimension["high"])


def draw_front(axes: Axes, search: Search) -> None:
    """Complete candidates by the first two rules, and those that none beats in both."""
    first, second = search.rules[:2]
    complete = [each for each in search.candidates if each.state == "complete"]
    points = [(percent_of(each, first), percent_of(each, second)) for each in complete]
    front = sorted(point for point in points if not any(beats(other, point) for other in points))
    if points:
        axes.scatter(*zip(*points, strict=True), **LOOKS["complete"])
        axes.step(*zip(*front, strict=True), where="pre", color=VERMILION, linestyle="--")
    for point, each in zip(points, complete, strict=True):
        if each.chosen is not None:
            axes.scatter(*point, zorder=3, **LOOKS[CHOSEN])
    axes.set(xlabel=f"{first}, %", ylabel=f"{second}, %", title="Pareto front")


def beats(other: tuple[float, float], point: tuple[float, float]) -> bool:
    """Whether one is at least as good by both rules, and better by one."""
    return other != point and other[0] >= point[0] and other[1] >= point[1]


def percent_of(candidate: Candidate, rule: str) -> float:
    """Its mean in percent; NaN where it has none."""
    mean = candidate.mean(rule)
    return math.nan if mean is None else 100 * mean
