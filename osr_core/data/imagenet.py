"""ImageNet: the ILSVRC 2012 photographs, their long-tailed selection, and classes of 2010.

A class's number is its position in the sorted wnids. Images of any size become squares (see
`encoded.decode_square`), training images too: random crops are then taken from that square and not
from the whole photograph, which is where this differs from the usual training on ImageNet.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from osr_core.data.base import EncodedReader, Subset
from osr_core.data.encoded import decode_square, file_blocks
from osr_core.data.files import content_fingerprint, reading
from osr_core.data.folders import image_files, listing_fingerprint, subfolders
from osr_core.data.imageset import ImageSet
from osr_core.data.locate import data_root, is_there, missing
from osr_core.errors import DataError

TERMS = "ImageNet's terms: non-commercial research and education"
SOLUTION = "LOC_val_solution.csv"
WORDS = "LOC_synset_mapping.txt"
LT_TRAIN = "ImageNet_LT_train.txt"
OPEN_2010 = "openset_imagenet2010_synsets.txt"


class ImageNet(EncodedReader):
    """ILSVRC 2012 in the root's folder imagenet, of whose training set the first classes are read.

        imagenet/train/n01440764/n01440764_10026.JPEG
        imagenet/val/n01440764/ILSVRC2012_val_00000293.JPEG     sorted into folders, or
        imagenet/val/ILSVRC2012_val_00000293.JPEG               flat beside LOC_val_solution.csv,
        imagenet/LOC_val_solution.csv                           as Kaggle ships them,

        imagenet/LOC_synset_mapping.txt                         if there: what classes are called

    The validation images are the test images. Their 1,000 wnids fix the numbers of the classes.

    Source: Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 2015.
    """

    licence = TERMS
    how_to_get = (
        "Get ILSVRC 2012 from https://image-net.org or Kaggle, and put its folders train and val "
        f"into the folder imagenet there (a flat val beside Kaggle's {SOLUTION})."
    )
    classes = tuple(map(str, range(1000)))
    named_by_files = True
    channels = 3
    image_size = 224
    mirrored = True

    num_trained: ClassVar[int]  # classes whose training images are read

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        """The classes' folders; for a flat val its folder and the list."""
        base = data_root(root, self) / "imagenet"
        if not is_there(base / "val"):
            raise missing(self, subset, [base / "val"])
        if subset == "train":
            folders = [base / "train" / wnid for wnid in self.wnids(base)[: self.num_trained]]
            if absent := [folder for folder in folders if not is_there(folder)]:
                raise missing(self, subset, absent[:10])
            return folders
        if is_there(base / SOLUTION):
            return [base / "val", base / SOLUTION]
        return [base / "val" / wnid for wnid in self.wnids(base)]

    def class_names(self, root: Path | None) -> Sequence[str]:
        """The wnids."""
        return self.wnids(data_root(root, self) / "imagenet")

    def other_names(self, root: Path | None) -> Iterator[tuple[str, int]]:
        """WordNet's words for each class, where Kaggle's list of them is there."""
        base = data_root(root, self) / "imagenet"
        if is_there(base / WORDS):
            number = {wnid: k for k, wnid in enumerate(self.wnids(base))}
            for line in _lines(base / WORDS):
                wnid, _, words = line.partition(" ")
                if wnid in number:
                    yield from ((word, number[wnid]) for word in words.split(", "))

    def wnids(self, base: Path) -> list[str]:
        """The classes' wnids, sorted."""
        solution = base / SOLUTION
        place = solution if is_there(solution) else base / "val"
        wnids = (
            sorted(set(_solution(solution).values())) if place == solution else subfolders(place)
        )
        if len(wnids) != len(self.classes):
            raise DataError(f"'{place}' has {len(wnids)} classes, not {len(self.classes)}.")
        return wnids

    def content(self, root: Path | None, subset: Subset) -> str:
        paths = self.files(root, subset)
        lists = [path for path in paths if path.suffix in (".csv", ".txt")]
        folders = [path for path in paths if path not in lists]
        return listing_fingerprint(folders, [content_fingerprint(lists)])

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        images, labels = self.listed(root, subset)
        yield from file_blocks(images, torch.tensor(labels), partial(decode_square, side=side))

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        return torch.tensor(self.listed(root, subset)[1])

    def listed(self, root: Path | None, subset: Subset) -> tuple[list[Path], list[int]]:
        """Every image of `subset` and its label."""
        paths = self.files(root, subset)
        if paths[-1].name == SOLUTION:
            folder, solution = paths
            number = {wnid: k for k, wnid in enumerate(self.wnids(folder.parent))}
            answers = _solution(solution)
            images = [folder / f"{name}.JPEG" for name in answers]
            return images, [number[wnid] for wnid in answers.values()]
        return by_folder(paths)


class ImageNet100(ImageNet):
    """The first 100 classes are known."""

    name = "imagenet100"
    title = "ImageNet-100"
    num_trained = 100


class ImageNet200(ImageNet):
    """The first 200 classes are known."""

    name = "imagenet200"
    title = "ImageNet-200"
    num_trained = 200


class ImageNetLT(ImageNet):
    """A long-tailed selection of the training images: 115,846, from 5 to 1,280 of each class.

    The list imagenet/ImageNet_LT_train.txt names them: "train/n01440764/n01440764_190.JPEG 0".

    Source: Liu et al., "Large-scale long-tailed recognition in an open world", CVPR 2019.
    """

    name = "imagenet_lt"
    title = "ImageNet-LT"
    how_to_get = f"{ImageNet.how_to_get} Put {LT_TRAIN} (Liu et al., OLTR) into imagenet, too."
    num_trained = 1000

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        if subset == "test":
            return super().files(root, subset)
        path = data_root(root, self) / "imagenet" / LT_TRAIN
        if not is_there(path):
            raise missing(self, subset, [path])
        return [path]

    def every_file(self, root: Path | None, subset: Subset) -> Iterator[Path]:
        yield from super().every_file(root, subset)
        if subset == "train":
            yield from self.listed(root, subset)[0]

    def listed(self, root: Path | None, subset: Subset) -> tuple[list[Path], list[int]]:
        if subset == "test":
            return super().listed(root, subset)
        (path,) = self.files(root, subset)
        wnids = self.wnids(path.parent)
        images, labels = [], []
        for number, line in enumerate(_lines(path), 1):
            name, _, label = line.partition(" ")
            parts = name.split("/")
            right = label.isdecimal() and int(label) < len(wnids) and len(parts) == 3
            if not right or parts[:2] != ["train", wnids[int(label)]] or parts[2] == "..":
                raise DataError(
                    f"'{path}' line {number} must be train/WNID/FILE and the position of the wnid "
                    f"among the sorted ones, not {line[:80]!r}."
                )
            images.append(path.parent / name)
            labels.append(int(label))
        return images, labels


class ImageNet2010Open(EncodedReader):
    """The 360 classes of ILSVRC 2010 that are not in 2012: unknown classes, for testing only.

        imagenet2010/openset_imagenet2010_synsets.txt   a synset a line
        imagenet2010/n01234567/*.JPEG

    Source: Bendale and Boult, "Towards open set deep networks", CVPR 2016, whose list it is.
    """

    name = "imagenet2010_open"
    title = "ImageNet 2010, open classes"
    licence = TERMS
    how_to_get = (
        "Put the images of ILSVRC 2010 into the folder imagenet2010 there, one folder a synset, "
        f"with the list {OPEN_2010} of OSDN's repository."
    )
    classes = tuple(map(str, range(360)))
    named_by_files = True
    channels = 3
    image_size = 224
    mirrored = True

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        base = data_root(root, self) / "imagenet2010"
        if subset == "train" or not is_there(base / OPEN_2010):
            raise missing(self, subset, [base / OPEN_2010])
        wnids = sorted({line.split()[0] for line in _lines(base / OPEN_2010)})
        if len(wnids) != len(self.classes) or any("/" in wnid or wnid == ".." for wnid in wnids):
            raise DataError(
                f"'{base / OPEN_2010}' must list {len(self.classes)} synsets, one a line; it lists "
                f"{len(wnids)}."
            )
        folders = [base / wnid for wnid in wnids]
        if absent := [folder for folder in folders if not is_there(folder)]:
            raise missing(self, subset, absent[:10])
        return folders

    def class_names(self, root: Path | None) -> Sequence[str]:
        """The wnids."""
        return [folder.name for folder in self.files(root, "test")]

    def content(self, root: Path | None, subset: Subset) -> str:
        return listing_fingerprint(self.files(root, subset))

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        return torch.tensor(by_folder(self.files(root, subset))[1])

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        images, labels = by_folder(self.files(root, subset))
        yield from file_blocks(images, torch.tensor(labels), partial(decode_square, side=side))


def by_folder(folders: Sequence[Path]) -> tuple[list[Path], list[int]]:
    """Every image in `folders` and the position of its folder."""
    per_class = [image_files(folder) for folder in folders]
    images = [path for files in per_class for path in files]
    return images, [label for label, files in enumerate(per_class) for _ in files]


def _solution(path: Path) -> dict[str, str]:
    """The wnid of each validation image by its name without ending, in the order of the names."""
    answers = {}
    for number, line in enumerate(_lines(path)[1:], 2):
        name, _, boxes = line.partition(",")
        if not name or not boxes or "/" in name:
            raise DataError(f"'{path}' line {number} must be IMAGE,WNID and boxes: {line[:80]!r}.")
        answers[name] = boxes.split(" ")[0]
    return dict(sorted(answers.items()))


def _lines(path: Path) -> list[str]:
    """The lines of a list that are not empty."""
    with reading(path) as file:
        lines = file.read().decode(errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]
