"""What a dataset is: a reader that knows where its files lie and how they are decoded."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from osr_core.data.cache import decoded_once
from osr_core.data.files import content_fingerprint
from osr_core.data.folders import image_files, image_hashes, in_words, left_out
from osr_core.data.imageset import ImageSet, concatenate, resized
from osr_core.identity import digest

__all__ = ["UNKNOWN", "Benchmark", "EncodedReader", "ImageSet", "Reader", "Subset"]

Subset = Literal["train", "test"]
UNKNOWN = -1  # the label of every image whose class is not among the known ones


class Reader(ABC):
    """One dataset on disk. Readers hold no state: every path comes from `root`."""

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    how_to_get: ClassVar[str]  # one sentence for the error about a missing file
    classes: ClassVar[tuple[str, ...]]  # names in label order
    named_by_files: ClassVar[bool] = False  # `classes` are numbers that stand for names
    channels: ClassVar[int]
    image_size: ClassVar[int]  # the side, in pixels, at which methods see the images by default
    mirrored: ClassVar[bool]  # a horizontal flip keeps the label (False for digits)
    version: ClassVar[int] = 1  # raised by the commit that changes what `load` or `at` gives

    @abstractmethod
    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        """The files that hold `subset` under `root`; empty for a dataset inside a library.

        Raises:
            DataError: no root given, a file missing or not readable; names every place looked at.
        """

    def every_file(self, root: Path | None, subset: Subset) -> Iterator[Path]:
        """Each single file that `subset` is made of, those in its folders and lists included.

        Raises:
            DataError: as `files`.
        """
        for path in self.files(root, subset):
            yield from image_files(path) if path.is_dir() else [path]

    def fingerprint(self, root: Path | None, subset: Subset) -> str:
        """A hash of all that decides the images of `subset`: the files and the reader's version.

        The ids of stages and the keys of the decode cache hold it. Where the files lie does not
        enter, nor whether they are gzipped; the same images in other files (Parquet instead of
        pickles) have another one.
        """
        return self.of_version(self.content(root, subset))

    def of_version(self, content: str) -> str:
        """The fingerprint of images whose files have this `content`."""
        return digest([self.version, content])

    def content(self, root: Path | None, subset: Subset) -> str:
        """A hash of what lies in the files of `subset`, without decoding it."""
        return content_fingerprint(self.files(root, subset))

    def class_names(self, root: Path | None) -> Sequence[str]:
        """Names in label order, also where only the files tell them; empty where nothing does.

        Raises:
            DataError: as `files`.
        """
        return self.classes

    def other_names(self, root: Path | None) -> Iterator[tuple[str, int]]:
        """Further names by which a split file may call a class, each with its number.

        Raises:
            DataError: as `files`.
        """
        yield from ()

    def remarks(self, root: Path | None, subset: Subset) -> Iterator[str]:
        """Sentences on what of the files of `subset` is not used, or is read in a special way.

        Raises:
            DataError: as `files`.
        """
        folders = [path for path in self.files(root, subset) if path.is_dir()]
        if others := in_words(each for folder in folders for each in left_out(folder)):
            yield f"{self.name}/{subset} leaves out what is no image in its place: {others}."

    def image_hashes(self, root: Path | None, subset: Subset) -> Iterator[tuple[str, str]]:
        """Each image's name and a hash of its file; nothing where images are no files.

        Raises:
            DataError: as `files`.
        """
        for folder in self.files(root, subset):
            if folder.is_dir():
                for name, content in image_hashes(folder).items():
                    yield f"{folder.name}/{name}", content

    @abstractmethod
    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        """The decoded images of `subset` in memory, in a fixed order.

        Raises:
            DataError: a file missing, truncated, or not what its format promises; names the file.
        """

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        """(N,) int64: the labels that `load` gives, where possible without decoding the images.

        Raises:
            DataError: as `load`, as far as it looks.
        """
        return self.load(root, subset).labels

    def at(self, root: Path | None, subset: Subset, side: int) -> ImageSet:
        """The images of `subset` as squares of `side` pixels; never write into them.

        Raises:
            DataError: as `load`.
        """
        loaded = self.load(root, subset)
        return ImageSet(resized(loaded.images[:], side), loaded.labels)


class EncodedReader(Reader):
    """A dataset of PNG or JPEG files, alone or in Parquet: decoded once per machine.

    Decoding goes in pieces, so that a dataset may be larger than the memory.
    """

    @abstractmethod
    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        """The decoded images of `subset` in pieces of some hundred, in a fixed order.

        Images of one fixed size may keep it; of images of any size, the reader makes squares of
        `side` pixels.

        Raises:
            DataError: as `load`.
        """

    def encoded(self, root: Path | None, subset: Subset) -> bool:
        """Whether the files found are of this kind; False where a dataset comes as arrays too."""
        return True

    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        return concatenate(list(self.blocks(root, subset, self.image_size)))

    def at(self, root: Path | None, subset: Subset, side: int) -> ImageSet:
        if not self.encoded(root, subset):
            return super().at(root, subset, side)
        identity = {
            "reader": self.name,
            "subset": subset,
            "fingerprint": self.fingerprint(root, subset),
            "side": side,
            "pillow": version("pillow"),  # another one may decode and scale otherwise
        }

        def blocks() -> Iterator[ImageSet]:
            for block in self.blocks(root, subset, side):
                yield ImageSet(resized(block.images[:], side), block.labels)

        return decoded_once(f"{self.name}-{subset}-{side}", identity, blocks)


@dataclass(frozen=True)
class Benchmark:
    """What a spec calls a dataset: where its known and its unknown classes come from."""

    name: str  # "cifar+10"
    known: Reader  # CIFAR-10
    unknown: Reader  # CIFAR-100; the same as `known` where one dataset is divided
