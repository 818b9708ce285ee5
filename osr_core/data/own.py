"""A user's own images, named in the spec by where they lie: `folder:NAME` and `parquet:NAME`.

    folder:NAME    ROOT/NAME/train/CLASS/*.jpg and ROOT/NAME/test/CLASS/*.jpg (or .png, .jpeg)
    parquet:NAME   ROOT/NAME-train*.parquet and ROOT/NAME-test*.parquet, as on the hub

A class's number is the position of its folder's name among those of both subsets, sorted, or the
label in the Parquet file. Images of any size become squares of 64 pixels; `folder:NAME@224` asks
for another side. Which classes are known is said by a split file of one's own (`data.splits`).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, TypeVar

import torch

from osr_core.data.base import EncodedReader, Reader, Subset
from osr_core.data.encoded import file_blocks
from osr_core.data.files import content_fingerprint
from osr_core.data.folders import image_files, listing_fingerprint, subfolders
from osr_core.data.imageset import ImageSet
from osr_core.data.locate import data_root, is_there, missing
from osr_core.data.parquet import find_parts, image_blocks, pattern
from osr_core.errors import DataError

NAMED = re.compile(r"(folder|parquet):([A-Za-z0-9][\w.+-]*)(?:@([1-9]\d{0,3}))?", re.ASCII)
SIDE = 64
T = TypeVar("T")


class WithOwn(dict[str, T]):
    """A dict that also answers, with what `make` gives, for `folder:NAME` and `parquet:NAME`."""

    def __init__(self, entries: dict[str, T], make: Callable[[str], T]) -> None:
        super().__init__(entries)
        self._make = make

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and is_own(name))

    def __missing__(self, name: str) -> T:
        if not is_own(name):
            raise KeyError(name)
        return self._make(name)


def is_own(name: str) -> bool:
    """Whether `name` is of the form that this file is about."""
    return NAMED.fullmatch(name) is not None


class OwnImages(EncodedReader):
    """What both kinds share; which classes there are is not known before the files are read."""

    licence = "your own"
    classes = ()
    channels = 3
    mirrored = True

    own_name: ClassVar[str]  # NAME


class OwnFolder(OwnImages):
    """One folder a class."""

    how_to_get = "Make the folders NAME/train/CLASS and NAME/test/CLASS there."

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        part = data_root(root, self) / self.own_name / subset
        if not is_there(part):
            raise missing(self, subset, [part])
        folders = [part / name for name in subfolders(part)]
        if not folders:
            raise DataError(f"'{part}' holds no folder of a class.")
        return folders

    def content(self, root: Path | None, subset: Subset) -> str:
        return listing_fingerprint(self.files(root, subset), self.class_names(root))

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        number = {name: k for k, name in enumerate(self.class_names(root))}
        images: list[Path] = []
        labels: list[int] = []
        for folder in self.files(root, subset):
            found = image_files(folder)
            images += found
            labels += [number[folder.name]] * len(found)
        yield from file_blocks(images, torch.tensor(labels), side, exact=False)

    def class_names(self, root: Path | None) -> Sequence[str]:
        """The classes of both subsets: an unknown one may be in the test images alone."""
        subsets: tuple[Subset, ...] = ("train", "test")
        return sorted({folder.name for subset in subsets for folder in self.files(root, subset)})


class OwnParquet(OwnImages):
    """Files in the layout of the Hugging Face hub."""

    how_to_get = "Put NAME-train*.parquet and NAME-test*.parquet there."

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        root = data_root(root, self)
        if parts := find_parts(root, self.own_name, subset):
            return parts
        raise missing(self, subset, [root / pattern(self.own_name, subset)])

    def content(self, root: Path | None, subset: Subset) -> str:
        return content_fingerprint(self.files(root, subset))

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        yield from image_blocks(self.files(root, subset), (), side, exact=False)


@cache
def own_reader(name: str) -> Reader:
    """The reader that `folder:NAME` or `parquet:NAME` names."""
    named = NAMED.fullmatch(name)
    assert named is not None  # the caller has asked is_own
    kind, own_name, side = named.groups()
    base = {"folder": OwnFolder, "parquet": OwnParquet}[kind]
    settings = {"name": name, "title": name, "own_name": own_name}
    reader: Reader = type(base.__name__, (base,), {**settings, "image_size": int(side or SIDE)})()
    return reader
