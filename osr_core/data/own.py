"""A user's own images, named in the spec by where they lie: `folder:NAME` and `parquet:NAME`.

    folder:NAME    ROOT/NAME/train/CLASS/*.jpg and ROOT/NAME/test/CLASS/*.jpg (or val, validation)
    parquet:NAME   ROOT/NAME-train*.parquet and ROOT/NAME-test*.parquet, as on the hub

A class's number is the position of its folder's name among those of both subsets, sorted, or the
label in the Parquet file; where that is a name, as with folders. Images of any size become squares
of 64 pixels; `folder:NAME@224` asks for another side. Which classes are known is said by a split
file of one's own (`data.splits`).
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from osr_core.data.base import EncodedReader, Reader, Subset
from osr_core.data.encoded import Pixels, decode_square, file_blocks
from osr_core.data.files import content_fingerprint
from osr_core.data.folders import (
    are_numbers,
    files_below,
    image_files,
    in_order,
    listing_fingerprint,
    loose_files,
    name_of,
    out_of_order,
    subfolders,
)
from osr_core.data.imageset import ImageSet
from osr_core.data.locate import data_root, is_there, missing
from osr_core.data.memory import remembered
from osr_core.data.parquet import (
    class_names,
    find_parts,
    has_names,
    image_blocks,
    image_labels,
    left_out,
    pattern,
    row_hashes,
)
from osr_core.errors import DataError
from osr_core.identity import digest

NAMED = re.compile(r"(folder|parquet):([A-Za-z0-9][\w.+-]*)(?:@([1-9]\d{0,3}))?", re.ASCII)
SIDE = 64
PARTS = {  # what a subset's folder may be called, in any case; the first of them is read
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "validation", "valid"),
}
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
    named_by_files = True
    channels = 3
    mirrored = True

    version = 2

    own_name: ClassVar[str]  # NAME

    def decode(self, side: int) -> Callable[..., Pixels]:
        """The middle square of a picture, as its camera was held."""
        return partial(decode_square, side=side, own=True)

    def absent(self, root: Path | None, subset: Subset, wanted: Path) -> DataError:
        """The error for a subset that is nowhere, or lies there under a name that is not read."""
        place = data_root(root, self)
        mine = re.compile(rf"{re.escape(self.own_name)}([-_. ].*)?", re.IGNORECASE)
        there = sorted(path.name for path in place.iterdir() if mine.fullmatch(path.name))
        if not there:
            return missing(self, subset, [wanted])
        return DataError(
            f"'{place}' holds {', '.join(there)}, and not {wanted.relative_to(place)}, which "
            f"{self.name} reads. {self.how_to_get}"
        )

    def remarks_on_names(self, root: Path | None, what: str) -> Iterator[str]:
        """Which class has which number where names hold numbers, and which share a name."""
        names = list(self.class_names(root))
        plain = [str(k) for k in range(len(names))]
        if are_numbers(names) and (names != plain or names != sorted(names)):
            first = ", ".join(f"class {k} is {what} {name}" for k, name in enumerate(names[:3]))
            yield f"{self.name} has {what}s with numbers, taken in their order: {first} ..."
        elif pair := out_of_order(names):
            told = " and ".join(f"class {names.index(name)} is {name}" for name in pair)
            yield f"{self.name} has {what}s in another order than that of their numbers: {told}."
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                same = ", ".join(str(k) for k, each in enumerate(names) if each == name)
                yield f"{self.name} has several classes called {name}: {same}."


class OwnFolder(OwnImages):
    """One folder a class."""

    how_to_get = "Make the folders NAME/train/CLASS and NAME/test/CLASS there."

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        part = self._parts(root, subset)[0]
        names = subfolders(part)
        if not names:
            raise DataError(f"'{part}' holds no folder of a class.")
        if odd := [name for name in names if name.encode(errors="replace").decode() != name]:
            raise DataError(f"'{part}' holds a folder whose name {why_unreadable(odd[0])}")
        return [part / name for name in names]

    def _own(self, root: Path | None) -> Path:
        return data_root(root, self) / self.own_name

    def _parts(self, root: Path | None, subset: Subset) -> list[Path]:
        """The folders that could be this subset's; the first one is."""
        own, names = self._own(root), PARTS[subset]
        if not is_there(own):
            raise self.absent(root, subset, own / subset)
        there = subfolders(own)
        found = [name for name in there if name.lower() in names]
        if not found:
            raise DataError(
                f"'{own}' holds no folder {' or '.join(names)}, in upper case or lower; it holds "
                f"{', '.join(there) or 'none'}. {self.how_to_get}"
            )
        found.sort(key=lambda name: (names.index(name.lower()), name != name.lower()))
        return [own / name for name in found]

    def remarks(self, root: Path | None, subset: Subset) -> Iterator[str]:
        yield from super().remarks(root, subset)
        used, *unused = self._parts(root, subset)
        held = {part.name: files for part in unused if (files := files_below(part))}
        if used.name != subset or held:
            others = "".join(f", and not of {n} ({_num_files(f)})" for n, f in held.items())
            yield f"{self.name}/{subset} is made of the folder {used.name}{others}."
        if loose := loose_files(used):
            yield (
                f"{self.name}/{subset} leaves out {_num_files(loose)} beside the folders of its "
                f"classes ({loose[0]})."
            )
        if subset == "train" and (beside := self._beside(root)):
            yield (
                f"{self.name} leaves out {_num_files(beside)} beside its folders train and test "
                f"({beside[0]})."
            )
        if subset == "train":
            yield from self.remarks_on_names(root, "folder")

    def _beside(self, root: Path | None) -> list[str]:
        """What lies beside the folders that could be a subset's."""
        own = self._own(root)
        places = {name for names in PARTS.values() for name in names}
        others = [own / name for name in subfolders(own) if name.lower() not in places]
        deeper = [path.relative_to(own).as_posix() for each in others for path in files_below(each)]
        return [*loose_files(own), *deeper]

    def content(self, root: Path | None, subset: Subset) -> str:
        return listing_fingerprint(self.files(root, subset), self.class_names(root))

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        return torch.tensor(self._listed(root, subset)[1])

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        images, labels = self._listed(root, subset)
        yield from file_blocks(
            images, torch.tensor(labels), partial(decode_square, side=side, own=True)
        )

    def _listed(self, root: Path | None, subset: Subset) -> tuple[list[Path], list[int]]:
        """Every image of `subset` and its label."""
        number = {name: k for k, name in enumerate(self.class_names(root))}
        per_class = [(number[name_of(f)], image_files(f)) for f in self.files(root, subset)]
        images = [path for _, files in per_class for path in files]
        return images, [label for label, files in per_class for _ in files]

    def class_names(self, root: Path | None) -> Sequence[str]:
        """The classes of both subsets: an unknown one may be in the test images alone."""
        subsets: tuple[Subset, ...] = ("train", "test")
        return in_order(
            {name_of(folder) for subset in subsets for folder in self.files(root, subset)}
        )


class OwnParquet(OwnImages):
    """Files in the layout of the Hugging Face hub."""

    how_to_get = "Put NAME-train*.parquet and NAME-test*.parquet there."

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        root = data_root(root, self)
        if parts := find_parts(root, self.own_name, subset):
            return parts
        raise self.absent(root, subset, root / pattern(self.own_name, subset))

    def content(self, root: Path | None, subset: Subset) -> str:
        paths = self.files(root, subset)
        found = content_fingerprint(paths)
        # Where labels are names, their numbers depend on the names of the other subset too.
        return digest([found, *self.class_names(root)]) if any(map(has_names, paths)) else found

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        return image_labels(self.files(root, subset), self.class_names(root))

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        paths = self.files(root, subset)
        yield from image_blocks(
            paths, self.class_names(root), partial(decode_square, side=side, own=True)
        )

    def remarks(self, root: Path | None, subset: Subset) -> Iterator[str]:
        if subset == "train":
            yield from self.remarks_on_names(root, "label")
            found = left_out(data_root(root, self), self.own_name, ("train", "test"))
            if others := ", ".join(found):
                yield f"{self.name} leaves out {others}."

    def image_hashes(self, root: Path | None, subset: Subset) -> Iterator[tuple[str, str]]:
        for path in self.files(root, subset):
            found = remembered(path.parent, [path.name], "images", row_hashes)[path.name]
            yield from ((f"{path.name} row {row}", content) for row, content in enumerate(found))

    def class_names(self, root: Path | None) -> Sequence[str]:
        """What the files of both subsets name; empty where they hold numbers alone."""
        root = data_root(root, self)
        subsets: tuple[Subset, ...] = ("train", "test")
        return class_names([p for each in subsets for p in find_parts(root, self.own_name, each)])


def why_unreadable(name: str) -> str:
    """Why some bytes of a file's name are no letters, which Python keeps as lone surrogates."""
    content = os.fsencode(name)
    try:
        found = content.decode()
    except UnicodeDecodeError:
        return f"is no UTF-8: {name!a}; rename it."
    return (
        f"is {found!a}, and this Python takes names for {sys.getfilesystemencoding()}. Set "
        "PYTHONUTF8=1, or LC_ALL to a locale of UTF-8."
    )


def _num_files(files: Sequence[object]) -> str:
    return f"{len(files)} file{'s' * (len(files) != 1)}"


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
