"""The store's files: whole or not there, on any file system that pyarrow knows."""

import contextlib
import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow.fs as pafs

SETTLE_S = 1.0  # longer than an upload of a marker or a lease takes
MANY = 20  # a listing tells of a thousand files at once, and of files that nobody asked for
TEMPORARY = ".tmp"  # how names of files end that are not put in place yet


@dataclass(frozen=True)
class File:
    """A file as it was found."""

    name: str
    bytes: int
    written_at: float  # seconds since 1970

    @property
    def is_temporary(self) -> bool:
        """Whether it is being written, or what a broken write left."""
        return self.name.endswith(TEMPORARY)


class Files(ABC):
    """Reads and writes by name below a root; every method may be called by many processes at once.

    No reader sees half of a file.
    """

    create_is_exact: ClassVar[bool]  # of two that make a file at the same time one hears False

    def __init__(self, fs: pafs.FileSystem, root: str) -> None:
        self._fs, self.root = fs, root

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it.

        Raises:
            OSError: no room, no permission.
        """

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one.

        Raises:
            OSError: no room, no permission.
        """

    @abstractmethod
    def move(self, name: str, target: str) -> None:
        """Give a folder another name, unless somebody else just did."""

    def path(self, name: str) -> str:
        """Where a name lies, for people."""
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes | None:
        """The content; None if there is no such file."""
        try:
            with self._fs.open_input_stream(self.path(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""
        try:
            if self._fs.get_file_info(self.path(name)).type == pafs.FileType.Directory:
                self._fs.delete_dir(self.path(name))
            else:
                self._fs.delete_file(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return

    def sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes of those files that are there."""
        infos = self._fs.get_file_info([self.path(name) for name in names]) if names else []
        return {name: info.size for name, info in zip(names, infos, strict=True) if info.is_file}

    def below(self, folder: str) -> Iterator[File]:
        """Every file in a folder and the folders in it; none if it is not there."""
        selector = pafs.FileSelector(self.path(folder), allow_not_found=True, recursive=True)
        for info in self._fs.get_file_info(selector):
            if info.is_file:
                name = info.path.removeprefix(f"{self.root}/")
                yield File(name, info.size or 0, (info.mtime_ns or 0) / 1e9)


class LocalFiles(Files):
    """Files are written under a temporary name, synced and put in place."""

    create_is_exact = True

    def __init__(self, folder: Path) -> None:
        super().__init__(pafs.LocalFileSystem(), str(folder.resolve()))

    def write(self, name: str, content: bytes) -> None:
        """By a rename."""
        write_atomically(Path(self.path(name)), content)

    def create(self, name: str, content: bytes) -> bool:
        """By a link, which unlike a rename fails where the name is taken."""
        path = Path(self.path(name))
        whole = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
        write_atomically(whole, content)
        try:
            os.link(whole, path)
            sync_folder(path.parent)
        except FileExistsError:
            return False
        finally:
            whole.unlink()
        return True

    def move(self, name: str, target: str) -> None:
        """By a rename."""
        self._fs.create_dir(self.path(target.rpartition("/")[0]))
        with contextlib.suppress(FileNotFoundError):
            self._fs.move(self.path(name), self.path(target))


class BucketFiles(Files):
    """Objects are shown whole or not at all, and are read back once written.

    There is no "make unless it is there" in all buckets alike: a file is made, and after a while
    looked at again. Two that make one within that while both find the later one there.
    """

    create_is_exact = False

    def write(self, name: str, content: bytes) -> None:
        """By an upload, verified."""
        self._upload(name, content)
        if self.read(name) != content:
            raise OSError("it reads otherwise than it was written")

    def create(self, name: str, content: bytes) -> bool:
        """By an upload that is still there, unreplaced, after SETTLE_S."""
        if self.read(name) is not None:
            return False
        self._upload(name, content)
        time.sleep(SETTLE_S)
        return self.read(name) == content

    def _upload(self, name: str, content: bytes) -> None:
        with self._fs.open_output_stream(self.path(name)) as stream:
            stream.write(content)

    def sizes(self, names: list[str]) -> dict[str, int]:
        """Of many names by listing their folder, since each name by itself is a request."""
        if len(names) < MANY:
            return super().sizes(names)
        folder = os.path.commonpath(names)
        there = {file.name: file.bytes for file in self.below(folder)}
        return {name: there[name] for name in names if name in there}

    def move(self, name: str, target: str) -> None:
        """By copies."""
        for file in list(self.below(name)):
            copy = target + file.name.removeprefix(name)
            with contextlib.suppress(FileNotFoundError):
                self._fs.copy_file(self.path(file.name), self.path(copy))
        self.delete(name)


def files_at(uri: str | Path) -> Files:
    """Those in a folder, given by its path, or in a bucket, given by a URI (s3://, gs://)."""
    if "://" in str(uri):
        return BucketFiles(*pafs.FileSystem.from_uri(str(uri)))
    return LocalFiles(Path(uri))


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, sync, rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Let a file's new name survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
