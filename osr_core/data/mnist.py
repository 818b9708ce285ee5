"""MNIST: 28 x 28 grey handwritten digits, 60,000 for training and 10,000 for testing."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from osr_core.data.base import Reader, Subset
from osr_core.data.idx import read_idx
from osr_core.data.imageset import ImageSet, label_tensor
from osr_core.data.locate import data_root, is_there, missing
from osr_core.errors import DataError


class MNIST(Reader):
    """The four IDX files, plain or gzip-compressed, in the root or where torchvision puts them.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    Methods see the images at 32 x 32, as in the papers; `load` gives them as they are.
    """

    name = "mnist"
    title = "MNIST"
    licence = "commonly given as CC BY-SA 3.0"
    how_to_get = (
        "Get the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz from "
        "https://ossci-datasets.s3.amazonaws.com/mnist/, or run: osr datasets fetch mnist."
    )
    classes = tuple("0123456789")
    channels = 1
    image_size = 32
    mirrored = False
    version = 2

    folders = (".", "MNIST/raw")  # under the root, in the order of looking

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        root = data_root(root, self)
        prefix = {"train": "train", "test": "t10k"}[subset]
        found = []
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            places = [
                root / folder / f"{name}{end}" for folder in self.folders for end in ("", ".gz")
            ]
            path = next((place for place in places if is_there(place)), None)
            if path is None:
                raise missing(self, subset, places)
            found.append(path)
        return found

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        _, path = self.files(root, subset)
        return label_tensor(read_idx(path, 1), len(self.classes), path)

    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        images_path, labels_path = self.files(root, subset)
        images, labels = read_idx(images_path, 3), self.labels(root, subset)
        if images.shape[1:] != (28, 28):
            height, width = images.shape[1:]
            raise DataError(f"'{images_path}' holds images of {height} x {width}, not 28 x 28.")
        if len(images) != len(labels):
            raise DataError(
                f"'{images_path}' holds {len(images)} images and '{labels_path}' {len(labels)} "
                "labels: they do not belong together."
            )
        if len(images) == 0:
            raise DataError(f"'{images_path}' holds no images.")
        return ImageSet(torch.from_numpy(images.copy())[:, None], labels)
