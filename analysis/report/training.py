"""How the fits of a method went: each loss term and validation metric by epoch."""

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa
from markupsafe import Markup

from analysis.report.plot import Line, look, plot

NOT_DRAWN = ("lr", "wall_s")
DRAWN = 100  # epochs of a line, evenly spread, and the last


@dataclass(frozen=True)
class Term:
    """One line of the picture."""

    name: str
    look: str
    first: float
    last: float


@dataclass(frozen=True)
class Training:
    """The fits of one method on one dataset, averaged by epoch."""

    picture: Markup
    terms: tuple[Term, ...]
    num_epochs: int


def trainings(history: pa.Table) -> dict[tuple[str, str], Training]:
    """By method and dataset, of those that have trained something."""
    keys = ["method", "dataset", "metric", "epoch"]
    means = history.select([*keys, "value"]).group_by(keys).aggregate([("value", "mean")])
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in means.sort_by([(key, "ascending") for key in keys]).to_pylist():
        if row["metric"] not in NOT_DRAWN and row["value_mean"] is not None:
            terms = found[row["method"], row["dataset"]]
            terms[row["metric"].removeprefix("train/")][row["epoch"]] = row["value_mean"]
    return {key: _training(*key, terms) for key, terms in found.items()}


def _training(method: str, dataset: str, terms: dict[str, dict[int, float]]) -> Training:
    last = max(max(values) for values in terms.values())
    lines, named = [], []
    for number, (name, values) in enumerate(terms.items()):
        low, high = min(values.values()), max(values.values())
        heights = [(value - low) / (high - low or 1) for value in values.values()]
        step = -(-len(heights) // DRAWN)
        kept = [*range(0, len(heights) - 1, step), len(heights) - 1]
        epochs = list(values)
        lines.append(Line(name, number, [epochs[k] for k in kept], [heights[k] for k in kept]))
        ends = list(values.values())
        named.append(Term(name, look(number), ends[0], ends[-1]))
    title = f"Training of {method} on {dataset}"
    axes = ("epoch", "from its lowest to its highest")
    return Training(plot(lines, title, axes, x=(1, max(last, 2))), tuple(named), last)
