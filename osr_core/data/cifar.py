"""CIFAR-10 and CIFAR-100: 32 x 32 colour, 50,000 images for training and 10,000 for testing."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from osr_core.data.base import EncodedReader, Subset
from osr_core.data.encoded import decode_exact
from osr_core.data.imageset import ImageSet, label_tensor
from osr_core.data.locate import data_root, is_there, missing
from osr_core.data.parquet import NO_ALIASES, find_parts, image_blocks, image_labels, pattern
from osr_core.data.pickles import read_arrays
from osr_core.errors import DataError

SIDE = 32
TEN = "airplane automobile bird cat deer dog frog horse ship truck"
HUNDRED = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""


class CIFAR(EncodedReader):
    """The extracted Python archive or, where its folder is absent, Parquet files, in the root.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """

    licence = "none stated; the author asks for the citation"
    channels = 3
    image_size = SIDE
    version = 2
    mirrored = True

    folder: ClassVar[str]  # of the extracted archive
    batches: ClassVar[Mapping[Subset, Mapping[str, str]]]  # its files and their published MD5
    label_key: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = NO_ALIASES

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        root = data_root(root, self)
        folder = root / self.folder
        if not is_there(folder):
            if parts := find_parts(root, self.name, subset):
                return parts
            raise missing(self, subset, [folder, root / pattern(self.name, subset)])
        paths = [folder / name for name in self.batches[subset]]
        if absent := [path for path in paths if not is_there(path)]:
            raise missing(self, subset, absent)
        return paths

    def encoded(self, root: Path | None, subset: Subset) -> bool:
        return self.files(root, subset)[0].suffix == ".parquet"

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        paths = self.files(root, subset)
        if paths[0].suffix == ".parquet":
            return image_labels(paths, self.classes, self.aliases)
        return super().labels(root, subset)

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        paths = self.files(root, subset)
        if paths[0].suffix == ".parquet":
            yield from image_blocks(
                paths, self.classes, partial(decode_exact, side=SIDE), self.aliases
            )
            return
        for path in paths:
            yield self._read_batch(path, self.batches[subset][path.name])

    def _read_batch(self, path: Path, md5: str) -> ImageSet:
        content = read_arrays(path, md5)
        held: Mapping[str, Any] = content if isinstance(content, dict) else {}
        data, labels = held.get("data"), held.get(self.label_key)
        if not isinstance(data, np.ndarray) or not isinstance(labels, list):
            raise DataError(f"'{path}' must hold an array 'data' and a list '{self.label_key}'.")
        if data.dtype != np.uint8 or data.shape != (len(labels), 3 * SIDE * SIDE):
            raise DataError(
                f"'{path}' must hold {3 * SIDE * SIDE} bytes (3 x {SIDE} x {SIDE}) for each of its "
                f"{len(labels)} labels; it holds {data.dtype} of shape {data.shape}."
            )
        return ImageSet(
            torch.from_numpy(data.reshape(-1, 3, SIDE, SIDE)),
            label_tensor(labels, len(self.classes), path),
        )


class CIFAR10(CIFAR):
    """Ten classes, four vehicles and six animals."""

    name = "cifar10"
    title = "CIFAR-10"
    how_to_get = (
        "Extract https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz there (or run: osr "
        "datasets fetch cifar10), or put the Parquet files of "
        "https://huggingface.co/datasets/uoft-cs/cifar10 there as "
        "cifar10-train.parquet and cifar10-test.parquet."
    )
    classes = tuple(TEN.split())
    folder = "cifar-10-batches-py"
    label_key = "labels"
    batches: ClassVar = {
        "train": {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
    }


class CIFAR100(CIFAR):
    """A hundred fine classes, in alphabetical order."""

    name = "cifar100"
    title = "CIFAR-100"
    how_to_get = (
        "Extract https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz there (or run: osr "
        "datasets fetch cifar100), or put the Parquet files of "
        "https://huggingface.co/datasets/uoft-cs/cifar100 there as "
        "cifar100-train.parquet and cifar100-test.parquet (CIFAR+N needs only the test images)."
    )
    classes = tuple(HUNDRED.split())
    folder = "cifar-100-python"
    label_key = "fine_labels"
    batches: ClassVar = {
        "train": {"train": "16019d7e3df5f24257cddd939b257f8d"},
        "test": {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    }
    aliases: ClassVar = {"cra": "crab"}  # the hub's file says so
