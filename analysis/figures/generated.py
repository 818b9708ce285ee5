"""Images that stages have made, each below those that it was made from.

    counterfactual  a training image, and what its latent became                     (OSRCI)
    interpolated    two training images, and what lies between their latents         (G-OpenMax)

Above each image stands the probability, in percent, that the classifier gives "none of them". A
generator that has collapsed shows one image in all columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.exports.read import read_generated
from analysis.figures.source import Source
from analysis.figures.style import GREY, encoded, note, styled
from osr_core.errors import DataError

COLUMNS = 12  # of those that a stage leaves, which must stay large enough to be seen
NAMES = {"start": "training", "partner": "training, too", "generated": "made"}
INCH = 0.62  # of an image's side


def generated(source: Source) -> Figure:
    """The grids of all stages on the dataset and the split of a trial, the first if none is named.

    Raises:
        DataError: no stage has left images for them.
    """
    table = read_generated(source.folder)
    if source.trial:
        trial = source.one()
        where = (trial["dataset"], trial["split"])
    else:
        where = (table["dataset"][0].as_py(), table["split"][0].as_py())
    rows = [row for row in table.to_pylist() if (row["dataset"], row["split"]) == where]
    if not rows:
        raise DataError(f"{source.folder} holds no images made for {where[0]}/{where[1]}.")
    stages = list(dict.fromkeys(row["stage_id"] for row in rows))
    about = f"images made for {where[0]}/{where[1]} by {', '.join(each[:8] for each in stages)}"
    foot = f"{about}; above each the probability of none of the known classes, %"
    return grid(rows, f"{foot}; {source.rests_on(source.trials())}")


def picture(foot: str, content: bytes) -> dict[str, bytes]:
    """The grid of one stage as PNG by file name, from the artifact that it left."""
    table = pq.read_table(pa.BufferReader(content))
    with styled():
        figure = grid([{"stage_id": "", **row} for row in table.to_pylist()], foot)
        return {"generated.png": encoded(figure, "png")}


def grid(rows: Sequence[Mapping[str, Any]], foot: str) -> Figure:
    """Images by stage and role, below each other, and by column."""
    lines = list(dict.fromkeys((row["stage_id"], row["role"]) for row in rows))
    width = min(COLUMNS, 1 + max(row["column"] for row in rows))
    figure = Figure(figsize=(1.1 + INCH * width, 0.5 + 1.35 * INCH * len(lines)))
    axes = figure.subplots(len(lines), width, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    for row in rows:
        column, line = row["column"], lines.index((row["stage_id"], row["role"]))
        if column < width:
            place = axes[line, column]
            place.imshow(image_of(row), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            place.set_title(f"{100 * row['p_unknown']:.0f}", size=7, color=GREY, pad=2)
    for line, (_, role) in enumerate(lines):
        axes[line, 0].text(
            -0.2,
            0.5,
            NAMES[role],
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
