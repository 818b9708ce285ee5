"""Data files: read so that a refusal is a DataError, and hashed by their bytes."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from osr_core.data.memory import remembered
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

    Each file is hashed once per machine for as long as it stays (`memory`).

    Raises:
        DataError: a file that cannot be read.
    """
    return digest([_content_hash(path) for path in paths])


def hash_of(path: Path) -> str:
    """A hash of a file's content; of a gzip file (by its ending), of what it unpacks to.

    Raises:
        DataError: it cannot be read.
    """
    content = hashlib.blake2b(digest_size=16)
    with reading(path) as file, unpacked(file, path) as plain:
        while block := plain.read(1 << 20):
            content.update(block)
    return content.hexdigest()


@contextmanager
def unpacked(file: BinaryIO, path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """An open file, read through gzip where its ending says so; damage becomes a DataError."""
    if path.suffix != ".gz":
        yield file
        return
    try:
        with gzip.open(file) as plain:
            yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"'{path}' is truncated or damaged: {error}. Fetch it again.") from error


def _content_hash(path: Path) -> str:
    try:
        return str(remembered(path.parent, [path.name], "content", hash_of)[path.name])
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
