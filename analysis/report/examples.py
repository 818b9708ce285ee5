"""Test images that a method accepts and rejects, as PNG inside the page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.exports.columns import SCORE_COLUMNS
from analysis.exports.read import path_in, read_columns
from analysis.exports.schema import SCORES, FinishedTrial
from analysis.figures.source import ImageLoader, Scores
from osr_core.errors import DataError, OsrError

SHOWN = 8  # images of a kind
SIDE = 64  # pixels at most; larger images are thinned out


@dataclass(frozen=True)
class Example:
    """One image."""

    data: str  # data: URI
    told: str  # its class, and what it was taken for


@dataclass(frozen=True)
class Examples:
    """The images of one trial at the threshold that accepts 95 % of the known ones."""

    about: str  # which trial
    kinds: tuple[tuple[str, tuple[Example, ...]], ...]  # title and images
    absent: str = ""  # why there are none


def examples(
    folder: Path, trial: FinishedTrial, about: str, images: ImageLoader | None
) -> Examples:
    """Of one trial: the most extreme images of four kinds, or why they cannot be shown."""
    if images is None:
        return Examples(about, (), "nobody said where images are: osr report --data-root PATH")
    try:
        return Examples(about, _kinds(_read(folder, trial["trial_id"]), images))
    except OsrError as error:  # no such files, or a data set that is not known here
        return Examples(about, (), str(error))


def _read(folder: Path, trial_id: str) -> Scores:
    """The trial's scores with the images' ids.

    Raises:
        DataError: there are none.
    """
    columns = [column for column in SCORE_COLUMNS if column.name != "logits"]
    only = [("trial_id", "in", [trial_id])]
    table = read_columns(path_in(folder, SCORES), columns, filters=only)
    if not len(table):
        raise DataError(f"{folder} holds no scores of trial {trial_id}.")
    return Scores.from_table(table)


def _kinds(scores: Scores, images: ImageLoader) -> tuple[tuple[str, tuple[Example, ...]], ...]:
    accepted = scores.unknown_score <= scores.threshold
    rising = np.argsort(scores.unknown_score, kind="stable")
    falling = rising[::-1]
    kinds = {
        "Known and accepted": (rising, scores.known & accepted),
        "Known and rejected, wrongly": (falling, scores.known & ~accepted),
        "Unknown and rejected": (falling, ~scores.known & ~accepted),
        "Unknown and accepted, wrongly": (rising, ~scores.known & accepted),
    }
    chosen = {title: order[of[order]][:SHOWN].tolist() for title, (order, of) in kinds.items()}
    ids = [scores.image_id[place] for places in chosen.values() for place in places]
    pictures = iter(images(ids))
    names = scores.known_names()
    return tuple(
        (title, tuple(_example(scores, place, next(pictures), names) for place in places))
        for title, places in chosen.items()
    )


def _example(
    scores: Scores, place: int, picture: NDArray[np.uint8], names: Sequence[str]
) -> Example:
    answer = names[int(scores.predicted[place])]
    own = scores.class_name[place]
    if own is None:
        own = names[int(scores.label[place])] if scores.label[place] >= 0 else "unknown"
    content = base64.b64encode(png(thinned(picture))).decode()
    return Example(f"data:image/png;base64,{content}", f"{own}, seen as {answer}")


def thinned(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) with every n-th pixel alone, so that no side is longer than SIDE."""
    step = -(-max(picture.shape[:2]) // SIDE)
    return picture[::step, ::step]


def png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG file of (H, W, 1) or (H, W, 3) levels."""
    file = io.BytesIO()
    Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(file, "PNG")
    return file.getvalue()
