"""Draws what `python -m benchmarks robustness` has stored, for docs/pmal.md.

python -m benchmarks.choices.robustness_figure
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from analysis.figures.style import COLOURS, DASHES, MARKERS, canvas, encoded, styled
from benchmarks.__main__ import RESULTS

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MODES = ("literal", "median", "relative", "row_correlation")  # sqrt_n ranks images as literal does
PANELS = {
    "confidence": "r and a held-out classifier's confidence",
    "agreement": "r of two pairs of classifiers",
}


def correlations(axes: Axes, rows: Sequence[dict[str, Any]], name: str, title: str) -> None:
    """One measurement over tasks, a mark for each mode."""
    tasks = list(dict.fromkeys(row["dataset"] for row in rows))
    for mode, colour, marker in zip(MODES, COLOURS, MARKERS, strict=False):
        values = [row[name] for row in rows if row["mode"] == mode]
        axes.plot(tasks, values, marker, color=colour, label=mode)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_title(title)


def quarters(axes: Axes, rows: Sequence[dict[str, Any]], task: str) -> None:
    """A held-out classifier's accuracy over quarters of r, a line for each mode."""
    for mode, colour, dashes, marker in zip(MODES, COLOURS, DASHES, MARKERS, strict=False):
        (row,) = (each for each in rows if (each["dataset"], each["mode"]) == (task, mode))
        values = [100 * share for share in row["accuracy_by_quarter"].values()]
        names = ["lowest r", "2nd", "3rd", "highest r"]
        axes.plot(names, values, marker, linestyle=dashes, color=colour, label=mode)
    axes.set_title(task)


def main() -> None:
    """Write both pictures."""
    rows = json.loads((RESULTS / "robustness-cpu.json").read_text())["result"]
    with styled():
        figure, panels = canvas(2, width=4)
        for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
            correlations(axes, rows, name, title)
        panels[0].set_ylabel("rank correlation within a class")
        panels[0].legend()
        (IMAGES / "robustness.png").write_bytes(encoded(figure, "png"))
        figure, panels = canvas(2, width=4)
        for axes, task in zip(panels, ("cifar+10", "cifar10"), strict=True):
            quarters(axes, rows, task)
        panels[0].set_ylabel("accuracy, %")
        panels[0].legend()
        (IMAGES / "robustness-quarters.png").write_bytes(encoded(figure, "png"))


if __name__ == "__main__":
    main()
