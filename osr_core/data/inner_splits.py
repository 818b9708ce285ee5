"""Inner splits: a task within a task, by which a search chooses without a look at test images.

Of the known classes of a split some are hidden and play the unknown ones; of the images of every
class a fraction is held out. Training sees what is left of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osr_core.data.base import UNKNOWN
from osr_core.data.imageset import ImageSet, pick
from osr_core.data.splits import ClassSplit
from osr_core.data.tasks import holdout, known_train, relabelled
from osr_core.identity import seed_for

FEWEST_LEFT = 2  # classes that a classifier needs


@dataclass(frozen=True)
class InnerSplit:
    """What a search keeps from training, of the known classes of a split."""

    hidden: tuple[int, ...]  # class numbers, ascending; empty: none plays an unknown one
    fraction: float  # of every class's training images that is held out


def inner_split(split: ClassSplit, *, hides: float, fraction: float) -> InnerSplit:
    """The inner split of `split` that hides a share `hides` of its known classes.

    Classes are ranked by a hash of dataset, known classes and split number, and the first ones are
    hidden: at least one where any is asked for, and never so many that fewer than two are left.
    """
    num = num_hidden(split.num_known, hides)
    of = (split.known_from, list(split.known), split.index)
    ranked = sorted(split.known, key=lambda k: seed_for("inner split", *of, k))
    return InnerSplit(tuple(sorted(ranked[:num])), fraction)


def num_hidden(num_known: int, hides: float) -> int:
    """How many of K known classes are hidden; negative where K is too small for any."""
    return 0 if hides == 0 else min(max(1, round(hides * num_known)), num_known - FEWEST_LEFT)


def inner_train(
    root: Path | None, task: Mapping[str, Any], *, image_size: int, channels: int
) -> ImageSet:
    """Images to train on: those of the task's known classes that are not held out."""
    return _parts(root, task, image_size, channels)[0]


def inner_held_out(
    root: Path | None, task: Mapping[str, Any], *, image_size: int, channels: int
) -> ImageSet:
    """Held-out images of the task's known classes, labels in [0, K), and of hidden ones, UNKNOWN.

    Arguments and errors are those of `known_train`; the task has "held_out", an inner split.
    """
    return _parts(root, task, image_size, channels)[1]


def _parts(
    root: Path | None, task: Mapping[str, Any], image_size: int, channels: int
) -> tuple[ImageSet, ImageSet]:
    hidden, fraction = task["held_out"]["hidden"], task["held_out"]["fraction"]
    classes = sorted([*task["known"], *hidden])
    outer = {**task, "known": classes}
    images = known_train(root, outer, image_size=image_size, channels=channels)
    seed = seed_for("held out", task["dataset"], classes, task["split"])
    train, held_out = holdout(images, fraction, seed)
    positions = [classes.index(k) for k in task["known"]]
    train, held_out = (
        replace(part, labels=relabelled(part.labels, positions)) for part in (train, held_out)
    )
    kept = (train.labels != UNKNOWN).nonzero()[:, 0]
    return replace(train, images=pick(train.images, kept), labels=train.labels[kept]), held_out
