"""A method's grid of settings as a heat map: mean AUROC over two settings.

Where more than two settings vary, the two with most values make the map, and the others stay as in
the first row that the spec names; the page says so.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.exports.schema import PlannedTrial
from analysis.report.leaderboard import Board, Place
from osr_core.identity import canonical_json
from osr_core.wording import Shortened, in_text, in_words

Point = tuple[Place, Mapping[str, Any]]  # a row and its settings


@dataclass(frozen=True)
class HeatCell:
    """One point of a grid."""

    mean: float | None  # percent; None where nothing is finished
    shade: int  # 0 lowest of the map to 10 highest
    first: bool  # the one that pictures show


@dataclass(frozen=True)
class HeatMap:
    """A method on one board."""

    method: str
    down: str  # the setting of the lines
    across: str  # the setting of the columns
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[HeatCell | None, ...]], ...]
    fixed: str  # further settings that vary, in words, and at what they are held; "" for none


def heat_maps(board: Board, planned: Sequence[PlannedTrial]) -> tuple[HeatMap, ...]:
    """Of the board's methods in which two settings vary or more."""
    settings = {trial.trial_id: trial.hyperparameters for trial in planned}
    titles = {trial.trial_id: trial.title for trial in planned}
    of_method: dict[str, list[Point]] = defaultdict(list)
    for place in sorted(board.places, key=lambda place: place.order):
        of_method[titles[place.trials[0]]].append((place, settings[place.trials[0]]))
    made = (_heat_map(title, points) for title, points in of_method.items())
    return tuple(each for each in made if each)


def _heat_map(title: str, points: Sequence[Point]) -> HeatMap | None:
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    for _, settings in points:
        for name, value in settings.items():
            values[name][canonical_json(value)] = value
    varied = sorted(name for name in values if len(values[name]) > 1)
    if len(varied) < 2:
        return None
    down, across, *others = sorted(varied, key=lambda name: -len(values[name]))
    _, first = points[0]
    held = {name: first[name] for name in others if name in first}
    shown = {
        (canonical_json(settings.get(down)), canonical_json(settings.get(across))): place
        for place, settings in points
        if all(settings.get(name) == value for name, value in held.items())
    }
    means = [place.mean for place in shown.values() if place.mean is not None]
    low, high = min(means, default=0.0), max(means, default=0.0)
    columns, lines = _ordered(values[across]), _ordered(values[down])
    return HeatMap(
        title,
        down,
        across,
        _texts(values[across], columns),
        tuple(
            (
                text,
                tuple(_cell(shown.get((line, column)), low, high) for column in columns),
            )
            for line, text in zip(lines, _texts(values[down], lines), strict=True)
        ),
        in_words(held),
    )


def _ordered(values: Mapping[str, Any]) -> list[str]:
    """Numbers by size, all else as the spec has it."""
    numbers = all(isinstance(value, int | float) for value in values.values())
    return sorted(values, key=lambda key: values[key]) if numbers else list(values)


def _texts(values: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    """As titles of rows have them: of a searched value a few digits."""
    shortened = Shortened(values.values())
    return tuple(in_text(shortened(values[key])) for key in keys)


def _cell(place: Place | None, low: float, high: float) -> HeatCell | None:
    if place is None:
        return None
    share = 0.0 if place.mean is None or high == low else (place.mean - low) / (high - low)
    return HeatCell(place.mean, round(10 * share), place.first)
