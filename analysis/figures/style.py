"""One style for every figure: legible for the colour-blind, in grey, and the same bytes each time.

Colours are Okabe and Ito's ("Color universal design", 2008) in an order of rising lightness; what a
colour says, a line's dashes, a marker or a hatch says too. Fonts are those that come with
matplotlib. Nothing of a figure's bytes depends on time, on the machine or on pyplot's state.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osr_core.errors import ConfigError, unknown_name

BLACK, BLUE, VERMILION, GREEN, ORANGE, SKY = (
    *("#000000", "#0072B2", "#D55E00"),
    *("#009E73", "#E69F00", "#56B4E9"),
)
COLOURS = (BLUE, ORANGE, BLACK, VERMILION, SKY, GREEN)
DASHES = ("-", (0, (5, 2)), (0, (1, 1)), "-.", (0, (8, 2, 1, 2, 1, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
HATCHES = ("", "///", "...", "xxx")
KNOWN, UNKNOWN = BLUE, ORANGE
GREY = "#666666"

STYLE: Any = {  # keys of matplotlib's rcParams
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "osr-sweeps",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
DOTS_PER_INCH = 150
LETTERS_PER_INCH = 19  # of a note


@contextmanager
def styled() -> Iterator[None]:
    """Everything drawn inside has the one style, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def canvas(columns: int = 1, width: float = 3.4, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """A figure of `columns` axes side by side, which share the vertical scale; inches of each."""
    figure = Figure(figsize=(width * columns, height))
    return figure, list(figure.subplots(1, columns, squeeze=False, sharey=True)[0])


def draw_matrix(axes: Axes, shares: NDArray[np.float64], *, written: bool = True) -> None:
    """A grey heat map of percent; with its numbers `written` in, nothing rests on shade."""
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=100, aspect="auto")
    axes.grid(False)
    for (row, column), share in np.ndenumerate(shares):
        if written and share >= 0.5:
            colour = "white" if share > 50 else "black"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, size=8)
    axes.spines[:].set(visible=True, color=GREY)


def note(figure: Figure, text: str) -> None:
    """What the figure rests on, small, below it; wrapped to the figure's width."""
    letters = int(figure.get_figwidth() * LETTERS_PER_INCH)
    figure.supxlabel(textwrap.fill(text, letters), fontsize=6.5, color=GREY)


def encoded(figure: Figure, format: str) -> bytes:
    """The figure as PNG, SVG or PDF.

    Raises:
        ConfigError: another format.
    """
    if format not in METADATA:
        raise ConfigError(unknown_name("format", format, METADATA))
    out = BytesIO()
    figure.savefig(out, format=format, dpi=DOTS_PER_INCH, metadata=METADATA[format])
    return out.getvalue()
