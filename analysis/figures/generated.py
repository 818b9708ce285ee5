"""Images that stages have made, each below those that it was made from.

    counterfactual  a training image, and what its latent became                     (OSRCI)
    interpolated    two training images, and what lies between their latents         (G-OpenMax)
    reconstruction  a training image, and what it is decoded to under each class     (C2AE)

Above an image that was made stands the probability, in percent, that the classifier gives "none of
them"; above a reconstruction its error, in bold under the image's own class. A generator that has
collapsed shows one image in all columns, and a decoder that does not heed the class one in all
lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.exports.read import read_generated, read_reconstructed
from analysis.exports.schema import GENERATED, RECONSTRUCTED
from analysis.figures.source import Source
from analysis.figures.style import GREY, encoded, note, styled
from osr_core.errors import DataError

COLUMNS = 12  # of those that a stage leaves, which must stay large enough to be seen
NAMES = {"start": "training", "partner": "training, too", "generated": "made"}
INCH = 0.62  # of an image's side


class Cell(NamedTuple):
    """An image in the grid."""

    stage: str
    line: str  # what stands beside it
    column: int
    number: str  # above it
    bold: bool
    image: NDArray[np.uint8]


def made(row: Mapping[str, Any]) -> Cell:
    """A row of generated.parquet."""
    line, number = NAMES[row["role"]], f"{100 * row['p_unknown']:.0f}"
    return Cell(row["stage_id"], line, row["column"], number, False, image_of(row))


def decoded(row: Mapping[str, Any]) -> Cell:
    """A row of reconstructed.parquet."""
    condition, error = row["condition"], row["error"]
    line = "training" if condition is None else f"as class {condition}"
    number, bold = "" if error is None else f"{error:.2f}", condition == row["label"]
    return Cell(row["stage_id"], line, row["column"], number, bold, image_of(row))


TABLES = {  # by file: how it is read, what a row becomes, and what the foot says of it
    GENERATED: (
        read_generated,
        made,
        "images made for {where} by {stages}; above each the probability of none of the known "
        "classes, %",
    ),
    RECONSTRUCTED: (
        read_reconstructed,
        decoded,
        "training images of {where} decoded under each class by {stages}; above each its error, "
        "bold under its own class",
    ),
}


def generated(source: Source) -> Figure:
    """The grids of all stages on the dataset and the split of a trial, the first if none is named.

    Raises:
        DataError: no stage has left images for them.
    """
    left = [name for name in TABLES if (source.folder / name).is_file()] or [GENERATED]
    tables = {name: TABLES[name][0](source.folder).to_pylist() for name in left}
    of = source.one() if source.trial else next(row for rows in tables.values() for row in rows)
    where = (of["dataset"], of["split"])
    cells: list[Cell] = []
    feet = []
    for name, rows in tables.items():
        here = [row for row in rows if (row["dataset"], row["split"]) == where]
        _, cell, about = TABLES[name]
        if here:
            stages = dict.fromkeys(row["stage_id"][:8] for row in here)
            feet.append(about.format(where=f"{where[0]}/{where[1]}", stages=", ".join(stages)))
            cells += map(cell, here)
    if not cells:
        raise DataError(f"{source.folder} holds no images made for {where[0]}/{where[1]}.")
    return grid(cells, "; ".join([*feet, source.rests_on(source.trials())]))


def picture(foot: str, content: bytes) -> dict[str, bytes]:
    """The grid of one stage as PNG by file name, from the artifact that it left."""
    table = pq.read_table(pa.BufferReader(content))
    of_classes = "condition" in table.column_names
    name, cell = ("reconstructed", decoded) if of_classes else ("generated", made)
    with styled():
        cells = [cell({"stage_id": "", **row}) for row in table.to_pylist()]
        return {f"{name}.png": encoded(grid(cells, foot), "png")}


def grid(cells: Sequence[Cell], foot: str) -> Figure:
    """Images by stage and line, below each other, and by column."""
    lines = list(dict.fromkeys((cell.stage, cell.line) for cell in cells))
    width = min(COLUMNS, 1 + max(cell.column for cell in cells))
    figure = Figure(figsize=(1.1 + INCH * width, 0.5 + 1.35 * INCH * len(lines)))
    axes = figure.subplots(len(lines), width, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    for cell in cells:
        if cell.column < width:
            place = axes[lines.index((cell.stage, cell.line)), cell.column]
            place.imshow(cell.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            look = {"weight": "bold"} if cell.bold else {"color": GREY}
            place.set_title(cell.number, size=7, pad=2, **look)
    for line, (_, name) in enumerate(lines):
        axes[line, 0].text(
            -0.2,
            0.5,
            name,
            transform=axes[line, 0].transAxes,
            ha="right",
            va="center",
            size=8,
        )
    note(figure, foot)
    return figure


def image_of(row: Mapping[str, Any]) -> NDArray[np.uint8]:
    """(S, S) of a grey image, (S, S, 3) of one in colour."""
    channels, side = row["channels"], row["side"]
    pixels: NDArray[np.uint8] = (
        np.array(row["pixels"], np.uint8).reshape(channels, side, side).transpose(1, 2, 0)
    )
    return pixels[..., 0] if channels == 1 else pixels
