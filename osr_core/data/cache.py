"""Decoded images on this machine's disk: each dataset is decoded once for all processes.

An entry is two files under OSR_CACHE (default ~/.cache/osr-sweeps), named by the hash of what was
decoded and how:

    NAME-HASH.images   N x C x H x W bytes, then N labels (int64)
    NAME-HASH.json     shape and checksum; written last, so that an entry without it does not exist

Whoever finds none decodes under a lock that the kernel lifts when its holder dies; the others wait
and find it. Entries are mapped into memory, so processes share what they have read. An entry that
does not agree with its checksum is made again. The folder may be deleted at any time.
"""

import fcntl
import json
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from osr_core.data.imageset import ImageSet
from osr_core.errors import DataError
from osr_core.identity import digest

FORMAT = 2  # raised by the commit that changes the files described above
LONGEST = 100  # bytes of a name, of the 255 that a file's may have
SAMPLES, SAMPLE_BYTES = 256, 1 << 20  # what is read to check an entry

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where decoded images are kept."""
    return Path(os.environ.get("OSR_CACHE") or Path.home() / ".cache" / "osr-sweeps")


def decoded_once(
    name: str, identity: Mapping[str, Any], blocks: Callable[[], Iterable[ImageSet]]
) -> ImageSet:
    """The images that `blocks` decodes, from the cache; mapped: never write into them.

    Args:
        name: how the files' names begin.
        identity: all that decides what `blocks` gives.
        blocks: decodes the images in pieces, at least one of them not empty.

    Raises:
        DataError: from `blocks`, or the cache cannot be written.
    """
    path = cache_folder() / f"{name[:LONGEST]}-{digest([FORMAT, identity])}.images"
    try:
        found = _opened(path)
        if found is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.with_suffix(".lock")):
                found = _opened(path)  # another process may have made it meanwhile
                if found is None:
                    _write(path, blocks())
                    found = _opened(path)
    except OSError as error:
        raise DataError(
            f"decoded images cannot be kept in '{path.parent}': {error.strerror or error}. "
            "Point OSR_CACHE at a folder with room."
        ) from error
    if found is None:
        raise DataError(f"'{path}' was written and cannot be read back; is its disk sound?")
    return found


def _opened(path: Path) -> ImageSet | None:
    """The entry at `path`; None if there is none, or a damaged one."""
    marker = path.with_suffix(".json")
    if not marker.exists():
        return None
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        shape, checksum = [int(size) for size in content["shape"]], content["checksum"]
    except (ValueError, LookupError, TypeError):
        log.warning("cache=%s damaged=marker: decoding again", path)
        return None
    num_bytes = torch.Size(shape).numel()
    size = path.stat().st_size if path.exists() else 0
    if size != num_bytes + 8 * shape[0] or _checksum(path) != checksum:
        log.warning("cache=%s damaged=content: decoding again", path)
        return None
    # private: what is written into these tensors by mistake does not reach the file
    values = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    labels = values[num_bytes:].clone().view(torch.int64)
    return ImageSet(values[:num_bytes].view(shape), labels)


def _write(path: Path, blocks: Iterable[ImageSet]) -> None:
    """Decode into the entry at `path`."""
    path.with_suffix(".json").unlink(missing_ok=True)
    labels = []
    size = torch.Size(())
    with _replacing(path) as file:
        for block in blocks:
            labels.append(block.labels)
            size = block.images.shape[1:]
            file.write(block.images[:].contiguous().numpy().data)
        file.write(torch.cat(labels).numpy().tobytes())
    content = {"shape": [sum(map(len, labels)), *size], "checksum": _checksum(path)}
    with _replacing(path.with_suffix(".json")) as file:
        file.write(json.dumps(content).encode())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` once it is complete and on the disk."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its holder, the file stays."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checksum(path: Path) -> int:
    """CRC-32 of the file, or of SAMPLES pieces of a larger one, the first and last among them."""
    size = path.stat().st_size
    whole = size <= SAMPLES * SAMPLE_BYTES
    last = max(size - SAMPLE_BYTES, 0)
    starts = (
        range(0, size, SAMPLE_BYTES)
        if whole
        else (number * last // (SAMPLES - 1) for number in range(SAMPLES))
    )
    checksum = 0
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            checksum = zlib.crc32(file.read(SAMPLE_BYTES), checksum)
    return checksum
