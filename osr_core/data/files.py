"""Data files: the folder they lie in, how to say that one is missing, and hashes of their bytes."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from osr_core.errors import DataError
from osr_core.identity import digest

if TYPE_CHECKING:
    from osr_core.data.base import Reader, Subset

POINT_AT_IT = "Point --data-root or the variable OSR_DATA at the folder that holds it."


def data_root(root: Path | None, reader: "Reader") -> Path:
    """`root`, once it is known to be a folder whose entries can be listed.

    Raises:
        DataError: no root, or one that does not exist, is not a folder or may not be read.
    """
    if root is None:
        raise DataError(
            f"{reader.title} needs its files, and no data folder is given. "
            f"{reader.how_to_get} {POINT_AT_IT}"
        )
    try:
        next(root.iterdir(), None)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the data folder '{root}' cannot be read: {reason}. {POINT_AT_IT}"
        ) from None
    return root


def is_there(path: Path) -> bool:
    """Whether `path` exists; a folder on the way that may not be entered is a DataError."""
    try:
        return path.exists()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None


def missing(reader: "Reader", subset: "Subset", looked: Iterable[Path]) -> DataError:
    """The error for files that are nowhere: which, every place looked at, how to get them."""
    places = "".join(f"\n  {path}" for path in looked)
    return DataError(
        f"{reader.title}: the {subset} images are not there. Looked for{places}\n"
        f"{reader.how_to_get} {POINT_AT_IT}"
    )


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """`path` opened for reading bytes; an operating system's refusal becomes a DataError."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise DataError(f"'{path}' cannot be read: {reason}.") from error


def content_fingerprint(paths: Iterable[Path]) -> str:
    """A hash of the bytes of `paths` in their order; names, places and times do not enter.

    Each file is hashed once per process for as long as its size and time of change stay.

    Raises:
        DataError: a file that cannot be read.
    """
    return digest([_content_hash(path) for path in paths])


def _content_hash(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    return _remembered_hash(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _remembered_hash(path: Path, size: int, mtime_ns: int) -> str:
    content = hashlib.blake2b(digest_size=16)
    with reading(path) as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()
