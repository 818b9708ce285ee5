"""TinyImageNet: 64 x 64 photographs of 200 classes, 500 of each for training, 50 for testing."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from osr_core.data.base import EncodedReader, Subset
from osr_core.data.encoded import decode_exact, file_blocks
from osr_core.data.files import content_fingerprint, reading
from osr_core.data.folders import image_files, listing_fingerprint, loose_files, subfolders
from osr_core.data.imageset import ImageSet
from osr_core.data.locate import data_root, is_there, missing
from osr_core.data.parquet import find_parts, image_blocks, image_labels, pattern
from osr_core.data.tinyimagenet_classes import NAMES, WNIDS
from osr_core.errors import DataError

SIDE = 64
FOLDER = "tiny-imagenet-200"
ALIASES = dict(zip(WNIDS, NAMES, strict=True))
PARTS: Mapping[Subset, str] = {
    "train": "train",
    "test": "val",
}  # its own test images have no labels


class TinyImageNet(EncodedReader):
    """The extracted archive or, where its folder is absent, Parquet files, in the root.

    The published validation images are the test images, as in every OSR paper. A class's number is
    its position in the sorted wnids, not in wnids.txt. Training files may hold fewer classes than
    200; a split that asks for one that is absent says so. Grey images become colour.

    The archive:

        train/n01443537/images/n01443537_0.JPEG
        val/images/val_0.JPEG
        val/val_annotations.txt     file, wnid and box of every validation image; or, where the
                                    images were sorted into folders: val/n01443537[/images]/ or
                                    val/images/n01443537/

    Source: Stanford CS231n, 2015; a part of ImageNet (Russakovsky et al., IJCV 2015).
    """

    name = "tinyimagenet"
    title = "TinyImageNet"
    licence = "ImageNet's terms: non-commercial research and education"
    how_to_get = (
        "Extract http://cs231n.stanford.edu/tiny-imagenet-200.zip there (or run: osr datasets "
        "fetch tinyimagenet), or put Parquet files there as tinyimagenet-train.parquet and "
        "tinyimagenet-val.parquet."
    )
    classes = NAMES
    channels = 3
    image_size = SIDE
    mirrored = True
    version = 2

    def other_names(self, root: Path | None) -> Iterator[tuple[str, int]]:
        """The wnids."""
        yield from zip(WNIDS, range(len(WNIDS)), strict=True)

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        """Parquet files, or the folders of the images and then, for val, the list of labels."""
        root = data_root(root, self)
        part = root / FOLDER / PARTS[subset]
        if is_there(part):
            images, annotations = part / "images", part / "val_annotations.txt"
            if subset == "train" or not is_there(images):
                return self._class_folders(part)
            if subfolders(images):  # as the usual shell scripts leave them
                return self._class_folders(images)
            if not loose_files(images) and len(subfolders(part)) > 1:
                return self._class_folders(part)
            if not is_there(annotations):
                raise missing(self, subset, [annotations])
            return [images, annotations]
        if parts := find_parts(root, self.name, PARTS[subset]):
            return parts
        raise missing(self, subset, [part, root / pattern(self.name, PARTS[subset])])

    def content(self, root: Path | None, subset: Subset) -> str:
        paths = self.files(root, subset)
        if paths[0].suffix == ".parquet":
            return content_fingerprint(paths)
        lists = [path for path in paths if path.suffix == ".txt"]
        folders = [path for path in paths if path.suffix != ".txt"]
        return listing_fingerprint(folders, [content_fingerprint(lists)])

    def labels(self, root: Path | None, subset: Subset) -> Tensor:
        paths = self.files(root, subset)
        if paths[0].suffix == ".parquet":
            return image_labels(paths, self.classes, ALIASES)
        return torch.tensor(_listed(paths)[1])

    def blocks(self, root: Path | None, subset: Subset, side: int) -> Iterator[ImageSet]:
        paths = self.files(root, subset)
        if paths[0].suffix == ".parquet":
            yield from image_blocks(paths, self.classes, partial(decode_exact, side=SIDE), ALIASES)
            return
        images, labels = _listed(paths)
        yield from file_blocks(images, torch.tensor(labels), partial(decode_exact, side=SIDE))

    def _class_folders(self, part: Path) -> list[Path]:
        """The folder with the images of every class in `part`."""
        names = [name for name in subfolders(part) if name != "images"]
        if other := [name for name in names if name not in WNIDS]:
            raise DataError(
                f"'{part}' holds the folder {other[0]}, which is none of TinyImageNet's 200 wnids."
            )
        if not names:
            raise DataError(f"'{part}' holds no folder of a class. {self.how_to_get}")
        folders = [part / name for name in names]
        return [f / "images" if is_there(f / "images") else f for f in folders]


def _listed(paths: Sequence[Path]) -> tuple[list[Path], list[int]]:
    """Every image in the folders, or in the folder and its list, and its label."""
    if paths[-1].suffix == ".txt":
        return _annotated(*paths)
    per_class = [(WNIDS.index(_class_of(folder)), image_files(folder)) for folder in paths]
    images = [path for _, files in per_class for path in files]
    return images, [number for number, files in per_class for _ in files]


def _class_of(folder: Path) -> str:
    return folder.parent.name if folder.name == "images" else folder.name


def _annotated(folder: Path, annotations: Path) -> tuple[list[Path], list[int]]:
    """The validation images in the order of their list, and their labels."""
    with reading(annotations) as file:
        lines = file.read().decode(errors="replace").splitlines()
    images, labels = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, rest = line.partition("\t")
        wnid = rest.split("\t")[0]
        if "/" in name or not name or wnid not in WNIDS:
            raise DataError(
                f"'{annotations}' line {number} must begin with a file's name, a tab and one of "
                f"TinyImageNet's wnids, not {line[:60]!r}."
            )
        images.append(folder / name)
        labels.append(WNIDS.index(wnid))
    listed, found = {path.name for path in images}, {path.name for path in image_files(folder)}
    if listed != found or len(listed) < len(images):
        example = min(listed ^ found, default="one of them twice")
        raise DataError(
            f"'{annotations}' lists {len(images)} images, '{folder}' holds {len(found)}; they "
            f"differ in {example}. Extract the archive again."
        )
    return images, labels
