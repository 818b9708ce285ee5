"""The form of a paper's table: what is printed where, and which of our trials belong there.

A layout has grids of lines and places. A line is a row as printed, with the method (by its title)
and the hyperparameters that make it; a place is a column, a dataset and what is measured there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.papers.published import DATASETS

BY_NAME = {name: key for key, name in DATASETS.items()}  # "CIFAR+10" -> "cifar+10"


@dataclass(frozen=True)
class Printed:
    """What a paper prints where a line meets a place."""

    value: float | str | None  # in the paper's own unit; None where it prints "-"
    starred: bool = False
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One row as printed."""

    label: str
    title: str = ""  # of our method; "" takes any trial
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = ""  # "" takes any
    dataset: str = ""  # of a table whose rows are datasets
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """One column as printed."""

    label: str
    quantity: str  # a metric, or a key of facts.FACTS
    dataset: str = ""


@dataclass(frozen=True)
class Grid:
    """One block of a table."""

    name: str
    title: str
    lines: tuple[Line, ...]
    places: tuple[Place, ...]
    printed: Mapping[tuple[str, str], Printed]  # by labels of line and place
    features: tuple[str, ...] = ()  # headings of the lines' features
    rows: str = "method"  # what the lines are


@dataclass(frozen=True)
class Layout:
    """One table of a paper."""

    name: str  # "cac2"
    title: str
    paper: str  # key of PAPERS
    sweep: str  # whose export it reads
    scale: float  # from our fractions to the paper's numbers
    decimals: int
    grids: tuple[Grid, ...]
    legend: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """The packaged spec that makes the sweep."""
        return self.sweep.replace("-", "_")


def places_of(datasets: Mapping[str, str], quantity: str) -> tuple[Place, ...]:
    """One column per dataset, from its name in the paper and ours."""
    return tuple(Place(label, quantity, dataset) for label, dataset in datasets.items())


def as_text(fact: float | str | None) -> str | None:
    """A fact as it is printed: 6, 13.4, 2M."""
    return fact if fact is None or isinstance(fact, str) else f"{fact:g}"
