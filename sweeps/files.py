"""The store's files: whole or not there, on any file system that pyarrow knows."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

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


class Files:
    """Reads and writes by name below a root; every method may be called by many processes at once.

    A local file is written under a temporary name, synced and put in place, so no reader sees half
    of one. Objects in a bucket are shown whole or not at all.
    """

    def __init__(self, uri: str | Path) -> None:
        """A folder's path, or a URI (s3://, gs://)."""
        if "://" in str(uri):
            self._fs, self.root = pafs.FileSystem.from_uri(str(uri))
        else:
            self._fs, self.root = pafs.LocalFileSystem(), str(Path(uri).resolve())
        self._local = isinstance(self._fs, pafs.LocalFileSystem)

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

    def write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it.

        Raises:
            OSError: no room, no permission.
        """
        if self._local:
            write_atomically(Path(self.path(name)), content)
            return
        with self._fs.open_output_stream(self.path(name)) as stream:
            stream.write(content)

    def create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one (exact where the file system is local).

        Raises:
            OSError: no room, no permission.
        """
        if not self._local:
            if self.read(name) is not None:
                return False
            self.write(name, content)
            return True
        path = Path(self.path(name))
        whole = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
        write_atomically(whole, content)
        try:
            os.link(whole, path)  # unlike a rename, it fails where the name is taken
            sync_folder(path.parent)
        except FileExistsError:
            return False
        finally:
            whole.unlink()
        return True

    def delete(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""
        try:
            if self._fs.get_file_info(self.path(name)).type == pafs.FileType.Directory:
                self._fs.delete_dir(self.path(name))
            else:
                self._fs.delete_file(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return

    def move(self, name: str, target: str) -> None:
        """Give a folder another name, unless somebody else just did."""
        self._fs.create_dir(self.path(target.rpartition("/")[0]))
        with contextlib.suppress(FileNotFoundError):
            self._fs.move(self.path(name), self.path(target))

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
