"""Data files: read so that a refusal is a DataError, and hashed by their bytes."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from osr_core.errors import DataError
from osr_core.identity import digest


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
