"""Datasets as folders of image files: one folder a class, or one folder and a list.

A fingerprint of such a dataset is made of its files' names and sizes, not of their content: there
are up to a million, and reading them all would take longer than training a network.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from osr_core.errors import DataError
from osr_core.identity import digest

ENDINGS = (".jpeg", ".jpg", ".png")


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, sorted; hidden ones are left out.

    Raises:
        DataError: `folder` cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read: {error.strerror}.") from None


def image_files(folder: Path) -> Sequence[Path]:
    """The PNG and JPEG files in `folder`, sorted by name.

    Listed once per process for as long as the folder's time of change stays.

    Raises:
        DataError: `folder` cannot be read, or holds none.
    """
    return [folder / name for name, _ in _entries(folder)]


def listing_fingerprint(folders: Sequence[Path], lists: Sequence[str] = ()) -> str:
    """A hash of the names of `folders` and of their images' names and sizes, and of `lists`."""
    return digest([[[folder.name, _entries(folder)] for folder in folders], list(lists)])


def num_bytes(path: Path) -> int:
    """The size of a file, or of all images in a folder."""
    return sum(size for _, size in _entries(path)) if path.is_dir() else path.stat().st_size


def _entries(folder: Path) -> Sequence[tuple[str, int]]:
    """Name and size of every image in `folder`, sorted."""
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read: {error.strerror}.") from None


@lru_cache(maxsize=8192)
def _listed(folder: Path, mtime_ns: int) -> Sequence[tuple[str, int]]:
    with os.scandir(folder) as entries:
        found = sorted(
            (entry.name, entry.stat().st_size)
            for entry in entries
            if entry.name.lower().endswith(ENDINGS)
        )
    if not found:
        raise DataError(f"'{folder}' holds no image ({', '.join(ENDINGS)}).")
    return found
