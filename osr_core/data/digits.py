"""The handwritten digits that come with scikit-learn: 1,797 images, no file to fetch.

Small enough that a whole sweep over them takes minutes on a laptop; the default of examples and
tests. Not a benchmark of any paper.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from osr_core.data.base import Reader, Subset
from osr_core.data.imageset import ImageSet
from osr_core.errors import DataError
from osr_core.identity import digest


class Digits(Reader):
    """8 x 8 counts in 0..16, scaled to 0..255 and enlarged to 16 x 16 (bilinear).

    Division: within each class, in scikit-learn's order, every fourth image (the 4th, 8th, ...) is
    for testing. No random numbers enter, so it is the same everywhere: 1,352 train, 445 test. The
    order goes by writer, so a writer's digits are on both sides: easier than MNIST.

    Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI, 1998 (the part
    that scikit-learn ships is UCI's test set).
    """

    name = "digits"
    title = "Digits"
    licence = "CC BY 4.0"
    how_to_get = "It comes with scikit-learn."
    classes = tuple("0123456789")
    channels = 1
    image_size = 16
    version = 2
    mirrored = False

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        return ()

    def content(self, root: Path | None, subset: Subset) -> str:
        counts, labels = raw()
        content = hashlib.blake2b(counts.tobytes() + labels.tobytes(), digest_size=16).hexdigest()
        return digest([content, subset])

    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        counts, labels = (torch.from_numpy(array) for array in raw())
        kept = _is_test(labels) == (subset == "test")
        images = counts[kept, None].float() * (255 / 16)
        images = F.interpolate(images, size=(16, 16), mode="bilinear", align_corners=False)
        return ImageSet(images.round().to(torch.uint8), labels[kept].long())


@cache
def raw() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(1797, 8, 8) counts and (1797,) labels, read where `load_digits` reads them.

    Raises:
        DataError: this version of scikit-learn does not hold the file there.
    """
    library = distribution("scikit-learn")  # found, not imported: that takes a second
    path = library.locate_file("sklearn/datasets/data/digits.csv.gz")
    try:
        rows = np.loadtxt(str(path), delimiter=",", dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise DataError(
            f"the digits in scikit-learn {library.version} cannot be read: {error}"
        ) from error
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]


def _is_test(labels: torch.Tensor) -> torch.Tensor:
    """(N,) bool: every fourth image of each class."""
    is_label = labels == torch.arange(10)[:, None]
    rank = (is_label.cumsum(1) * is_label).sum(0)  # 1 for the first of its class
    return rank % 4 == 0
