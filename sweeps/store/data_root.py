"""A data root as a folder on this machine; of a bucket, each version of a file is taken once.

    OSR_CACHE/data/files/3f9a....   files from elsewhere, by what tells them from all others
    OSR_CACHE/data/3f9a..../        a data root made of links to them

The folder may be deleted between sweeps.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from osr_core.data.cache import cache_folder, locked
from osr_core.errors import DataError
from osr_core.identity import digest
from sweeps.store.address import DATA, Address, bucket_of
from sweeps.store.bucket import BucketFiles
from sweeps.store.files import File, FileError, UnreachableError, at_once

Tell = Callable[[str], object]


class DataAwayError(DataError, UnreachableError):
    """The bucket with the data does not answer now; it may the next time."""

    exit_code = DataError.exit_code


def folder_of(data_root: str | Path | None, tell: Tell = lambda text: None) -> Path | None:
    """The folder with the data; `tell` hears what has to be taken from a bucket first.

    Raises:
        ConfigError: as `bucket_of`.
        DataError: the bucket has nothing there, may not be read, or there is no room for its files.
        DataAwayError: the bucket does not answer.
    """
    address = bucket_of(data_root)
    if address is None:
        return None if data_root is None else Path(data_root)
    there = {file.name: file for file in files_in(address)}
    bucket = BucketFiles(address, DATA)
    place = [address.root, address.options]
    names = {
        path: digest([*place, path, file.bytes, file.version or file.written_at])
        for path, file in there.items()
    }

    def take(path: str, place: Path) -> None:
        with _explained(bucket), place.open("wb") as taken:
            taken.writelines(bucket.chunks(there[path]))
            taken.flush()
            os.fsync(taken.fileno())

    lacking = [there[path].bytes for path, name in names.items() if not _kept(name).exists()]
    if lacking:
        megabytes = sum(lacking) / 1e6
        tell(f"taking {len(lacking)} files, {megabytes:.1f} MB, from {bucket.root} to {_base()}")
    try:
        return root_of(names, take)
    except OSError as error:
        raise DataError(
            f"files of {bucket.root} cannot be kept in {_base()}: {error.strerror or error}. Point "
            "OSR_CACHE at a folder with room."
        ) from error


def files_in(address: Address) -> list[File]:
    """What a data root in a bucket holds.

    Raises:
        DataError: nothing, or it may not be read. DataAwayError: the bucket does not answer.
    """
    bucket = BucketFiles(address, DATA)
    with _explained(bucket):
        found = bucket.below("")
    # Consoles of clouds mark a folder by an empty file of its name.
    folders = {"", *(str(parent) for file in found for parent in Path(file.name).parents)}
    files = [file for file in found if file.bytes or file.name not in folders]
    if not files:
        raise DataError(f"{bucket.root} holds no files: is that folder of {DATA} the right one?")
    return files


def root_of(names: Mapping[str, str], take: Callable[[str, Path], None]) -> Path:
    """A data root of links; one process makes it, the others wait.

    Args:
        names: by path below the root, a name that only one content can have.
        take: makes the file of a path in a place, or raises.
    """
    root = _base() / digest([names])
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.with_suffix(".lock")):
        if root.exists():
            return root
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # what was broken off is not whole

        def put(path: str) -> None:
            kept, place = _kept(names[path]), part / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if kept.exists():
                os.link(kept, place)
                return
            take(path, place)
            with contextlib.suppress(FileExistsError):  # of another root, or under another path
                os.link(place, kept)

        _kept("").mkdir(exist_ok=True)
        at_once(put, names)
        part.rename(root)
    return root


def _base() -> Path:
    return cache_folder() / "data"


def _kept(name: str) -> Path:
    return _base() / "files" / name


@contextlib.contextmanager
def _explained(bucket: BucketFiles) -> Iterator[None]:
    """What the bucket does is said of the data."""
    try:
        yield
    except FileError as error:
        kind = DataAwayError if isinstance(error, UnreachableError) else DataError
        reason = bucket.reason(error.__cause__)
        raise kind(f"{bucket.root} cannot be read: {reason}. {bucket.at_start}") from error
