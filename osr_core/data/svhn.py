"""SVHN: 32 x 32 colour digits from house numbers, 73,257 for training and 26,032 for testing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from osr_core.data.base import Reader, Subset
from osr_core.data.files import reading
from osr_core.data.imageset import ImageSet
from osr_core.data.locate import data_root, is_there, missing
from osr_core.errors import DataError

SIDE = 32


class SVHN(Reader):
    """The two .mat files of the cropped digits, in the root or in its folder svhn.

    X (32, 32, 3, N) holds the pixels, y (N, 1) the labels 1 to 10, where 10 is the digit 0. The
    531,131 "extra" images take no part in any protocol here.

    Source: Netzer et al., "Reading digits in natural images with unsupervised feature learning",
    2011.
    """

    name = "svhn"
    title = "SVHN"
    licence = "non-commercial use only"
    how_to_get = (
        "Get train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers/, "
        "or run: osr datasets fetch svhn."
    )
    classes = tuple("0123456789")
    channels = 3
    image_size = SIDE
    version = 2
    mirrored = False

    folders = (".", "svhn")  # under the root, in the order of looking

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        root = data_root(root, self)
        places = [root / folder / f"{subset}_32x32.mat" for folder in self.folders]
        if found := [place for place in places if is_there(place)]:
            return found[:1]
        raise missing(self, subset, places)

    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        from scipy.io import loadmat  # takes a fifth of a second to import

        (path,) = self.files(root, subset)
        with reading(path) as file:
            try:
                content = loadmat(file, variable_names=("X", "y"))
            except Exception as error:  # damaged files raise nearly anything
                raise DataError(
                    f"'{path}' is truncated or no .mat file of version 5: {error}. Fetch it again."
                ) from error
        images, labels = content.get("X"), content.get("y")
        if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray):
            raise DataError(f"'{path}' must hold the arrays X and y.")
        if labels.dtype.kind not in "iu":
            raise DataError(f"'{path}' must hold whole numbers as y; it holds {labels.dtype}.")
        num = labels.size
        if images.dtype != np.uint8 or images.shape != (SIDE, SIDE, 3, num):
            raise DataError(
                f"'{path}' must hold {SIDE} x {SIDE} x 3 x {num} bytes for its {num} labels; it "
                f"holds {images.dtype} of shape {images.shape}."
            )
        if wrong := np.flatnonzero((labels.ravel() < 1) | (labels.ravel() > 10)).tolist():
            raise DataError(
                f"'{path}' row {wrong[0]}: label {labels.ravel()[wrong[0]]} is not one of 1 to 10 "
                "(10 means the digit 0)."
            )
        pixels = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
        digits = torch.from_numpy(labels.ravel().astype(np.int64) % 10)
        return ImageSet(torch.from_numpy(pixels), digits)
