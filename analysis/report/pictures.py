"""What a board shows besides its numbers: a strip of splits for each row, ROC and OSCR curves.

Of a method with several settings the curves show the first that the spec names, whatever its
numbers: a choice by them would be an oracle's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from analysis.exports.schema import FinishedTrial
from analysis.report.curves import RATES, Band, Curve, band
from analysis.report.leaderboard import Board, Place
from analysis.report.plot import Line, dots, look, plot

BANDED = 6  # of more rows, bands would hide each other: only the first three have one
FEW = 3


class Curves(NamedTuple):
    """One trial's curves at `curves.RATES`."""

    roc: Curve
    oscr: Curve


@dataclass(frozen=True)
class Strip:
    """One row's splits."""

    row: str
    picture: Markup
    wins: int  # splits on which no other row is better


@dataclass(frozen=True)
class Drawn:
    """One curve picture's key: a row and how its line looks."""

    row: str
    look: str
    num_splits: int
    one_of: int  # rows of the same method


@dataclass(frozen=True)
class BoardPictures:
    """All pictures of a board; empty where nothing is finished or no scores are there."""

    strips: tuple[Strip, ...]
    low: float  # percent at the left end of all strips
    high: float
    num_splits: int
    curves: tuple[tuple[str, Markup], ...]  # caption and picture
    key: tuple[Drawn, ...]
    banded: int  # how many rows have a band


def board_pictures(
    board: Board, finished: Mapping[str, FinishedTrial], curves: Mapping[str, Curves]
) -> BoardPictures:
    """Of a board; `curves` are those of its trials by id, as far as there are scores."""
    values = [value for place in board.places for value in place.splits.values()]
    low, high = _ends(values)
    best = _best_of_splits(board.places)
    strips = tuple(
        _strip(place, low, high, best, len(board.places) > 1)
        for place in board.places
        if place.splits
    )
    drawn = [
        place for place in board.places if place.first and any(i in curves for i in place.trials)
    ]
    pictures, banded = _curves(drawn, finished, curves)
    of_method = [place.method for place in board.places]
    key = tuple(
        Drawn(place.row, look(number), len(place.splits), of_method.count(place.method))
        for number, place in enumerate(drawn)
    )
    return BoardPictures(strips, low, high, len(best), pictures, key, banded)


def _strip(
    place: Place, low: float, high: float, best: Mapping[int, float], contested: bool
) -> Strip:
    won = {
        split for split, value in place.splits.items() if contested and value >= best[split] - 1e-9
    }
    values = [
        (value, f"split {split}: {value:.1f}", split in won)
        for split, value in place.splits.items()
    ]
    interval = None if place.low is None or place.high is None else (place.low, place.high)
    told = ", ".join(name for _, name, _ in values)
    mean = place.mean or 0.0
    picture = dots(values, low, high, interval, mean, f"{place.row}: {told}")
    return Strip(place.row, picture, len(won))


def _best_of_splits(places: Sequence[Place]) -> dict[int, float]:
    splits = sorted({split for place in places for split in place.splits})
    return {split: max(p.splits[split] for p in places if split in p.splits) for split in splits}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Whole percent around all values."""
    if not values:
        return 0.0, 100.0
    return float(int(min(values))), float(min(100, int(max(values)) + 1))


def _curves(
    drawn: Sequence[Place], finished: Mapping[str, FinishedTrial], curves: Mapping[str, Curves]
) -> tuple[tuple[tuple[str, Markup], ...], int]:
    """The ROC and the OSCR picture, and how many rows have a band."""
    if not drawn:
        return (), 0
    banded = len(drawn) if len(drawn) <= BANDED else FEW
    lines: dict[str, list[Line]] = {"roc": [], "oscr": []}
    for number, place in enumerate(drawn):
        for which, of_kind in lines.items():
            there = [
                (finished[i]["split"], getattr(curves[i], which))
                for i in place.trials
                if i in curves
            ]
            of_kind.append(_line(place.row, number, band(there), number < banded))
    roc = plot(lines["roc"], "ROC", ("known images rejected", "unknown images recognised"))
    oscr = plot(lines["oscr"], "OSCR", ("unknown images accepted", "knowns accepted and right"))
    return (("ROC: further up and left is better", roc), ("OSCR", oscr)), banded


def _line(row: str, number: int, over: Band, banded: bool) -> Line:
    both = (over.low.tolist(), over.high.tolist()) if banded and over.num_splits > 1 else ()
    return Line(row, number, RATES.tolist(), over.mean.tolist(), *both)
