"""What a dataset is: uint8 images and integer labels, and a reader that knows where they lie."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osr_core.data.files import content_fingerprint
from osr_core.errors import DataError

Subset = Literal["train", "test"]
UNKNOWN = -1  # the label of every image whose class is not among the known ones


@dataclass(frozen=True)
class ImageSet:
    """N images of one size with their labels.

    images: (N, C, H, W) uint8; labels: (N,) int64, the dataset's own class numbers or, once a
    split has been applied, positions in the sorted known classes and UNKNOWN.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class Reader(ABC):
    """One dataset on disk. Readers hold no state: every path comes from `root`."""

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    how_to_get: ClassVar[str]  # one sentence for the error about a missing file
    classes: ClassVar[tuple[str, ...]]  # names in label order
    channels: ClassVar[int]
    image_size: ClassVar[int]  # the side, in pixels, at which methods see the images by default
    mirrored: ClassVar[bool]  # a horizontal flip keeps the label (False for digits)

    @abstractmethod
    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        """The files that hold `subset` under `root`; empty for a dataset inside a library.

        Raises:
            DataError: no root given, a file missing or not readable; names every place looked at.
        """

    def fingerprint(self, root: Path | None, subset: Subset) -> str:
        """A hash of the content of `subset`, without decoding it; where it lies does not enter.

        The same images in other files (Parquet instead of pickles, gzip or not) have another one.
        """
        return content_fingerprint(self.files(root, subset))

    @abstractmethod
    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        """The decoded images of `subset` in a fixed order.

        Raises:
            DataError: a file missing, truncated, or not what its format promises; names the file.
        """


@dataclass(frozen=True)
class Benchmark:
    """What a spec calls a dataset: where its known and its unknown classes come from."""

    name: str  # "cifar+10"
    known: Reader  # CIFAR-10
    unknown: Reader  # CIFAR-100; the same as `known` where one dataset is divided


def concatenate(parts: Sequence[ImageSet]) -> ImageSet:
    """One image set of several, in their order."""
    return ImageSet(
        torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
    )


def label_tensor(labels: npt.ArrayLike, num_classes: int, path: Path) -> Tensor:
    """(N,) int64 class numbers as read from `path`.

    Raises:
        DataError: a label outside [0, num_classes); names the file and the first such row.
    """
    values = np.asarray(labels)
    if wrong := np.flatnonzero((values < 0) | (values >= num_classes)).tolist():
        raise DataError(
            f"'{path}' row {wrong[0]}: label {values[wrong[0]]} is not one of the {num_classes} "
            f"classes, 0 to {num_classes - 1}."
        )
    return torch.from_numpy(values.astype(np.int64))
