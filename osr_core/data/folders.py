"""Datasets as folders of image files: one folder a class, or one folder and a list.

Hidden files and folders (`.thumb.png`, `._x.png`) are skipped. A fingerprint of such a dataset is
made of its files' names and their content, which is read once per machine (`memory`).
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from unicodedata import normalize

from osr_core.data.files import hash_of
from osr_core.data.memory import remembered
from osr_core.errors import DataError
from osr_core.identity import digest

ENDINGS = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
# Where servers of files keep thumbnails, and archives of macOS what belongs to each file.
OF_SYSTEMS = ("@eaDir", "__MACOSX")


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, in order (`in_order`); hidden ones are left out.

    Raises:
        DataError: `folder` cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return in_order(e.name for e in entries if e.is_dir() and not is_hidden(e.name))
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read: {error.strerror}.") from None


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is there for a system, not for people."""
    return name.startswith(".") or name in OF_SYSTEMS


def name_of(folder: Path) -> str:
    """What a folder is called, however its accents are written: macOS takes them apart."""
    return normalize("NFC", folder.name)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes by the alphabet; where all are numbers, by number: 2 before 10."""
    found = sorted(names)
    return sorted(found, key=_size) if are_numbers(found) else found


def out_of_order(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names of which only the numbers differ, the larger first: class_10 before class_2."""
    before: dict[
        str, tuple[list[tuple[int, str]], str]
    ] = {}  # by what is left of a name without its numbers
    for name in names:
        numbers = [_size(found) for found in re.findall(r"\d+", name, re.ASCII)]
        larger, earlier = before.get(text := re.sub(r"\d+", "#", name, flags=re.ASCII), ([], ""))
        if numbers < larger:
            return earlier, name
        before[text] = numbers, name
    return None


def are_numbers(names: Iterable[str]) -> bool:
    """Whether all names are numbers."""
    return all(name.isascii() and name.isdecimal() for name in names)


def image_files(folder: Path) -> Sequence[Path]:
    """The image files in `folder`, sorted by name.

    Raises:
        DataError: `folder` cannot be read, or holds none.
    """
    images, others = _entries(folder)
    if not images:
        held = f"; it holds {others[0]}" if others else ""
        raise DataError(f"'{folder}' holds no image ({', '.join(ENDINGS)}){held}.")
    return [folder / name for name in images]


def other_entries(folder: Path) -> Sequence[str]:
    """Names of what lies in `folder` and is no image, but for hidden entries; folders end in "/".

    Raises:
        DataError: `folder` cannot be read.
    """
    return _entries(folder)[1]


def left_out(folder: Path) -> Iterator[tuple[str, str]]:
    """What lies in a folder of images and is none: of which kind it is, and its path from above.

    Raises:
        DataError: `folder` cannot be read.
    """
    for name in other_entries(folder):
        below = folder / name
        if not name.endswith("/"):
            yield (
                f"of {below.suffix}" if below.suffix else "without ending",
                f"{folder.name}/{name}",
            )
            continue
        for path in files_below(below):
            yield "in deeper folders", path.relative_to(folder.parent).as_posix()


def loose_files(folder: Path) -> list[str]:
    """Names of the files that lie in `folder` itself, images or not, but for hidden ones.

    Raises:
        DataError: `folder` cannot be read.
    """
    images, others = _entries(folder)
    return [*images, *(name for name in others if not name.endswith("/"))]


def files_below(folder: Path) -> list[Path]:
    """Every file in `folder` or deeper, sorted, but for what is hidden or lies in hidden folders.

    Raises:
        DataError: a folder cannot be read.
    """
    return [
        *(folder / name for name in loose_files(folder)),
        *(path for name in subfolders(folder) for path in files_below(folder / name)),
    ]


def in_words(found: Iterable[tuple[str, str]]) -> str:
    """Things by kind: how many of each, and an example."""
    kinds: dict[str, list[str]] = {}
    for kind, name in found:
        kinds.setdefault(kind, []).append(name)
    return ", ".join(f"{len(names)} {kind} ({names[0]})" for kind, names in kinds.items())


def listing_fingerprint(folders: Sequence[Path], lists: Sequence[str] = ()) -> str:
    """A hash of the names of `folders`, of their images' names and content, and of `lists`."""
    return digest([[[f.name, [*image_hashes(f).items()]] for f in folders], list(lists)])


def image_hashes(folder: Path) -> dict[str, str]:
    """By name, a hash of the content of every image in `folder`.

    Raises:
        DataError: `folder` or an image cannot be read, or there is none.
    """
    names = [path.name for path in image_files(folder)]
    try:
        return remembered(folder, names, "content", hash_of)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read: {error.strerror}.") from None


def num_bytes(path: Path) -> int:
    """The size of a file, or of all images in a folder."""
    paths = image_files(path) if path.is_dir() else [path]
    return sum(each.stat().st_size for each in paths)


def _size(digits: str) -> tuple[int, str]:
    """What numbers are compared by: Python itself reads none of more than 4,300 digits."""
    plain = digits.lstrip("0")
    return len(plain), plain


def _entries(folder: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Names of the images, and of everything else, each sorted."""
    images, others = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                is_image = entry.name.lower().endswith(ENDINGS)
                if entry.is_dir():
                    others.append(f"{entry.name}/")
                # A link to nowhere is kept, to be refused by name; a pipe would be waited for.
                elif is_image and (entry.is_file() or entry.is_symlink()):
                    images.append(entry.name)
                else:
                    others.append(entry.name)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read: {error.strerror}.") from None
    return sorted(images), sorted(others)
