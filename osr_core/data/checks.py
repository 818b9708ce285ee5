"""What can be known of a task's images before anything is trained on them.

Labels are read, images are not: it takes as long as listing the files.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from osr_core.data import reader
from osr_core.data.base import Benchmark, Subset
from osr_core.data.splits import ClassSplit
from osr_core.data.tasks import allowed_channels, num_held_out
from osr_core.errors import MissingDataError

Counts = Callable[[str, Subset], Counter[int]]
"""`class_counts` of one root; of many splits, each subset is counted once."""

NAMED = 10  # classes that a sentence names; of more, how many there are


def class_counts(root: Path | None, name: str, subset: Subset) -> Counter[int]:
    """How many images of each class number a dataset's subset has.

    Raises:
        DataError: the labels cannot be read.
    """
    return Counter(reader(name).labels(root, subset).tolist())


def class_names(root: Path | None, name: str) -> Sequence[str]:
    """A dataset's names in label order; without the files, as far as they are known."""
    try:
        return reader(name).class_names(root)
    except MissingDataError:
        return reader(name).classes


def named(names: Sequence[str], classes: Sequence[int]) -> list[str]:
    """Class numbers, each with its name where it has another one: ["2 bird", "3 cat"]."""
    return [f"{k} {names[k]}" if k < len(names) and names[k] != str(k) else str(k) for k in classes]


def listed(root: Path | None, name: str, classes: Sequence[int]) -> str:
    """Classes in a sentence, the first ten of them: "2 bird, 3 cat"."""
    said = named(class_names(root, name), classes[:NAMED])
    rest = [f"and {len(classes) - NAMED} more"] if len(classes) > NAMED else []
    return ", ".join([*said, *rest])


def remarks(root: Path | None, benchmark: Benchmark) -> Iterator[str]:
    """What of a benchmark's files is not used, or means what a user may not expect.

    Raises:
        DataError: the files cannot be read.
    """
    subsets: tuple[Subset, ...] = ("train", "test")
    for each in dict.fromkeys((benchmark.known, benchmark.unknown)):
        for subset in subsets if each is benchmark.known else subsets[1:]:
            yield from each.remarks(root, subset)
    trained = {h: name for name, h in benchmark.known.image_hashes(root, "train") if h}
    tested = benchmark.unknown.image_hashes(root, "test")
    if copies := [(name, trained[h]) for name, h in tested if h in trained]:
        what = f"{len(copies)} test images of {benchmark.name} are copies of training images"
        if len(copies) == 1:
            what = f"1 test image of {benchmark.name} is a copy of a training image"
        yield f"{what}: {copies[0][0]} of {copies[0][1]}."


def task_problems(
    root: Path | None, split: ClassSplit, counts: Counts, *, channels: int, validation: float
) -> Iterator[str]:
    """A sentence for everything in which the data does not fit what a trial asks of it.

    Args:
        root: the data folder.
        split: which classes are known and unknown.
        counts: the images of each class.
        channels: of the images that the network sees.
        validation: the fraction of each known class's training images that is held out.

    Raises:
        DataError: the labels cannot be read.
    """
    known, unknown = split.known, split.unknown
    yield from _absent(root, split, counts, split.known_from, "train", "known", known)
    yield from _absent(root, split, counts, split.known_from, "test", "known", known)
    yield from _absent(root, split, counts, split.unknown_from, "test", "unknown", unknown)
    for name in dict.fromkeys((split.known_from, split.unknown_from)):
        if channels not in (allowed := allowed_channels(reader(name).channels)):
            yield (
                f"backbone.channels is {channels}, and the images of {name} can be seen with "
                f"{' or '.join(map(str, allowed))}."
            )
    there = counts(split.known_from, "train")
    held_out = {k: num_held_out(validation, there[k]) for k in known if there[k]}
    if all_of := [k for k, num in held_out.items() if num >= there[k]]:
        yield (
            f"training.validation {validation:g} leaves no training image of {split.known_from} "
            f"class {listed(root, split.known_from, all_of)}; it has {there[all_of[0]]}. Lower it."
        )
    if validation and held_out and not any(held_out.values()):
        yield (
            f"training.validation {validation:g} holds out no image at all of {split.id}: its "
            f"known classes have {max(there[k] for k in held_out)} training images at most. Raise "
            "it, or set it to 0."
        )


def inner_problems(
    root: Path | None, split: ClassSplit, counts: Counts, *, fraction: float
) -> Iterator[str]:
    """A sentence where a search cannot hold out an image of every known class and keep some.

    Raises:
        DataError: the labels cannot be read.
    """
    there = counts(split.known_from, "train")
    held_out = {k: num_held_out(fraction, there[k]) for k in split.known if there[k]}
    if bad := [k for k, num in held_out.items() if not 0 < num < there[k]]:
        yield (
            f"held_out {fraction:g} is {held_out[bad[0]]} of the {there[bad[0]]} training images "
            f"of {split.known_from} class {listed(root, split.known_from, bad)}; some must be held "
            "out and some left. Change held_out."
        )


def _absent(
    root: Path | None,
    split: ClassSplit,
    counts: Counts,
    name: str,
    subset: Subset,
    side: str,
    classes: Sequence[int],
) -> Iterator[str]:
    there = counts(name, subset)
    if absent := [k for k in classes if not there[k]]:
        yield (
            f"{name}/{subset} holds no image of class {listed(root, name, absent)}: "
            f"{len(absent)} of the {len(classes)} {side} classes of split {split.id} are missing. "
            f"It has images of {len(there)} classes."
        )
