"""Tasks: a dataset under a class split, as tensors of the size and channels that a network sees.

`known_train` and `holdout` give what training may see; `open_test` alone reads unknown classes.
Datasets are decoded once per process, those in encoded files once per machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osr_core.data import reader
from osr_core.data.base import UNKNOWN, Benchmark, Subset
from osr_core.data.imageset import Images, ImageSet, pick
from osr_core.errors import ConfigError, DataError


@dataclass(frozen=True)
class TestSet(ImageSet):
    """Test images of known and unknown classes; labels are in [0, K) or UNKNOWN."""

    __test__ = False  # not a test, whatever its name makes pytest believe

    image_ids: list[str]  # "cifar10/test/123": dataset, subset, position in the reader's order
    classes: Tensor  # (N,) each image's own class in its dataset
    class_names: list[str]  # its name; its number where it has none


def fingerprints(root: Path | None, benchmark: Benchmark) -> dict[str, str]:
    """Hashes of all data that a benchmark reads, by "cifar10/train".

    Raises:
        DataError: a file is missing or cannot be read.
    """
    known, unknown = benchmark.known, benchmark.unknown
    return {
        f"{known.name}/train": known.fingerprint(root, "train"),
        f"{known.name}/test": known.fingerprint(root, "test"),
        f"{unknown.name}/test": unknown.fingerprint(root, "test"),
    }


def data_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of all data that a stage with this config reads, by "cifar10/train"."""
    task, test = config.get("task", {}), config.get("test", {})
    found = {f"{name}/test": each for name, each in test.get("fingerprints", {}).items()}
    if "fingerprint" in task:
        found[f"{task['dataset']}/train"] = task["fingerprint"]
    return found


def check_here(root: Path | None, name: str, subset: Subset, fingerprint: str) -> None:
    """Insist on the very files that something was planned with.

    Raises:
        DataError: they are missing, unreadable or others; names them.
    """
    found = reader(name).fingerprint(root, subset)
    if found != fingerprint:
        raise DataError(
            f"{name}/{subset} has changed since this was planned: its fingerprint is {found}, that "
            f"of the plan {fingerprint}. Plan again, or bring the former files back:"
            f"{_listed(root, name, subset)}"
        )


def known_train(
    root: Path | None, task: Mapping[str, Any], *, image_size: int, channels: int
) -> ImageSet:
    """All training images of the known classes, in the reader's order, labels in [0, K).

    Args:
        root: the data folder.
        task: "dataset", "known" (class numbers) and the "fingerprint" of the training data.
        image_size: height and width in pixels.
        channels: 1 or 3; grey images are repeated for 3.

    Raises:
        ConfigError: colour images asked for as grey.
        DataError: a file is missing, unreadable, or not the one that the task was planned with; a
            known class has no image.
    """
    loaded = _load(root, task["dataset"], "train", task["fingerprint"], image_size)
    refuse_absent(task["dataset"], "train", loaded.labels, task["known"])
    labels = relabelled(loaded.labels, task["known"])
    kept = (labels != UNKNOWN).nonzero()[:, 0]
    images = in_channels(pick(loaded.images, kept), channels)
    return ImageSet(images, labels[kept], mirrored=reader(task["dataset"]).mirrored)


def open_test(
    root: Path | None, test: Mapping[str, Any], *, image_size: int, channels: int
) -> TestSet:
    """All test images of the known and of the unknown classes.

    One dataset gives both in its reader's order; of two, the known ones come first. Images of
    classes that are neither known nor unknown are left out.

    Args:
        root: the data folder.
        test: "known_from", "known", "unknown_from", "unknown", and "fingerprints" by dataset.
        image_size: height and width in pixels.
        channels: 1 or 3; grey images are repeated for 3.

    Raises:
        ConfigError: colour images asked for as grey.
        DataError: a file is missing, unreadable, or not the one that the test was planned with.
    """
    known, unknown = test["known"], test["unknown"]
    if test["known_from"] == test["unknown_from"]:
        sources = [(test["known_from"], known, unknown)]
    else:
        sources = [(test["known_from"], known, ()), (test["unknown_from"], (), unknown)]
    images, labels, image_ids, classes, class_names = [], [], [], [], []
    for name, known_here, unknown_here in sources:
        loaded = _load(root, name, "test", test["fingerprints"][name], image_size)
        wanted = torch.tensor([*known_here, *unknown_here])
        refuse_absent(name, "test", loaded.labels, wanted.tolist())
        kept = torch.isin(loaded.labels, wanted).nonzero()[:, 0]
        images.append(in_channels(pick(loaded.images, kept), channels))
        classes.append(loaded.labels[kept])
        labels.append(relabelled(classes[-1], known_here))
        image_ids += [f"{name}/test/{position}" for position in kept.tolist()]
        names = reader(name).class_names(root)
        class_names += [names[k] if names else str(k) for k in classes[-1].tolist()]
    return TestSet(
        images[0] if len(images) == 1 else torch.cat([part[:] for part in images]),
        torch.cat(labels),
        image_ids,
        torch.cat(classes),
        class_names,
    )


def holdout(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and validation part of `images`: round(fraction * n) of each class's n held out.

    Both keep the order of `images`. The draw depends on `seed`, the labels and nothing else.

    Raises:
        ConfigError: a class would keep no training image.
    """
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.zeros(len(images), dtype=torch.bool)
    for label in torch.unique(images.labels).tolist():
        members = (images.labels == label).nonzero()[:, 0]
        num = num_held_out(fraction, len(members))
        if num >= len(members):
            raise ConfigError(
                f"holding out {fraction} of class {label} leaves none of its {len(members)} "
                "training images; lower 'validation'."
            )
        held_out[members[torch.randperm(len(members), generator=generator)[:num]]] = True
    rows = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
    train, validation = (
        replace(images, images=pick(images.images, part), labels=images.labels[part])
        for part in rows
    )
    return train, validation


def num_held_out(fraction: float, num: int) -> int:
    """How many of a class's images are held out for validation."""
    return round(fraction * num)


def refuse_absent(name: str, subset: Subset, labels: Tensor, classes: Sequence[int]) -> None:
    """Insist on an image of every class that a split names; a plan has done so before.

    Raises:
        DataError: a class has none.
    """
    present = set(labels.tolist())
    if absent := sorted(set(classes) - present):
        raise DataError(
            f"{name}/{subset} holds no image of class {', '.join(map(str, absent))}, which the "
            f"split asks for; it has images of {len(present)} classes."
        )


def relabelled(labels: Tensor, known: Sequence[int]) -> Tensor:
    """(N,) int64: the position of each label among the sorted known classes, or UNKNOWN."""
    positions = torch.full_like(labels, UNKNOWN)
    for position, label in enumerate(sorted(known)):
        positions[labels == label] = position
    return positions


def allowed_channels(channels: int) -> list[int]:
    """With how many channels images of `channels` can be seen."""
    return sorted({channels, 3})


def in_channels(images: Images, channels: int) -> Images:
    """(N, channels, H, W) of (N, C, H, W): as they are, or grey repeated three times.

    Raises:
        ConfigError: any other number of channels; colour is not turned into grey.
    """
    if channels not in (allowed := allowed_channels(images.shape[1])):
        raise ConfigError(
            f"channels must be {' or '.join(map(str, allowed))} for these images, not {channels}."
        )
    if channels == images.shape[1]:
        return images
    return images[:].expand(-1, channels, -1, -1).contiguous()


def _load(
    root: Path | None, name: str, subset: Subset, fingerprint: str, image_size: int
) -> ImageSet:
    """The images of a subset, once their fingerprint is found to be the planned one."""
    check_here(root, name, subset, fingerprint)
    return _decoded(root, name, subset, fingerprint, image_size)


def _listed(root: Path | None, name: str, subset: Subset) -> str:
    """The files of a subset, the first ten of them, a line each."""
    paths = reader(name).files(root, subset)
    more = [f"and {len(paths) - 10} more"] if len(paths) > 10 else []
    return "".join(f"\n  {path}" for path in [*paths[:10], *more])


@lru_cache(maxsize=4)
def _decoded(
    root: Path | None, name: str, subset: Subset, fingerprint: str, image_size: int
) -> ImageSet:
    """Decoded images; the fingerprint makes changed files a new entry. Never write into these."""
    return reader(name).at(root, subset, image_size)
