"""MNIST: 28 x 28 grey handwritten digits, 60,000 for training and 10,000 for testing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from osr_core.data.base import Reader, Subset
from osr_core.data.files import content_fingerprint
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
        return [places[0] for places in self._found(root, subset)]

    def _found(self, root: Path | None, subset: Subset) -> list[list[Path]]:
        """Of the images and of the labels, every file that could be read; the first one is."""
        root = data_root(root, self)
        prefix = {"train": "train", "test": "t10k"}[subset]
        found = []
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            places = [
                root / folder / f"{name}{end}" for folder in self.folders for end in ("", ".gz")
            ]
            found.append([place for place in places if is_there(place)])
            if not found[-1]:
                raise missing(self, subset, places)
        return found

    def remarks(self, root: Path | None, subset: Subset) -> Iterator[str]:
        for used, *others in self._found(root, subset):
            content = content_fingerprint([used])
            if other := [path for path in others if content_fingerprint([path]) != content]:
                yield (
                    f"{self.name}/{subset} is made of '{used}', and not of '{other[0]}', which "
                    "holds something else."
                )

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
