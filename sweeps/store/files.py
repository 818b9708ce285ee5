"""The store's files: whole or not there, in a folder or (see `bucket`) in a bucket.

Whatever a disk or a server raises leaves as a FileError that says what to do.
"""

import contextlib
import hashlib
import json
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.fs as pafs

from osr_core.errors import OsrError

TEMPORARY = ".tmp"  # how names of files end that are not put in place yet


class StoreError(OsrError):
    """The store cannot be used, or a stage's result is not in it."""

    exit_code = 3


class FileError(StoreError):
    """A file of the store cannot be read or written; its cause is the system's own error."""


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

    No reader sees half of a file. A note is a small file that holds JSON.

    Raises:
        FileError: no room, no permission, or nobody answers.
    """

    create_is_exact: ClassVar[bool]  # of two that make a file at the same time one hears False

    def __init__(self, fs: pafs.FileSystem, root: str) -> None:
        self._fs, self.root = fs, root

    @abstractmethod
    def _write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it; OSError otherwise."""

    @abstractmethod
    def _create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one; OSError otherwise."""

    @abstractmethod
    def _move(self, name: str, target: str) -> None:
        """Give a folder another name; OSError otherwise."""

    def path(self, name: str) -> str:
        """Where a name lies, for people."""
        return f"{self.root}/{name}"

    # -- files -----------------------------------------------------------------------------------

    def write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it."""
        with self._explained(name, "written"):
            self._write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one."""
        with self._explained(name, "written"):
            return self._create(name, content)

    def move(self, name: str, target: str) -> None:
        """Give a folder another name, unless somebody else just did."""
        with self._explained(name, "moved"):
            self._move(name, target)

    def read(self, name: str) -> bytes | None:
        """The content; None if there is no such file."""
        with self._explained(name, "read"):
            try:
                with self._fs.open_input_stream(self.path(name)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""
        gone = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with self._explained(name, "deleted"), gone:
            if self._fs.get_file_info(self.path(name)).type == pafs.FileType.Directory:
                self._fs.delete_dir(self.path(name))
            else:
                self._fs.delete_file(self.path(name))

    def sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes of those files that are there."""
        if not names:
            return {}
        with self._explained(names[0], "found"):
            infos = self._fs.get_file_info([self.path(name) for name in names])
        return {name: info.size for name, info in zip(names, infos, strict=True) if info.is_file}

    def there(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self.sizes([name]))

    def below(self, folder: str) -> Iterator[File]:
        """Every file in a folder and the folders in it; none if it is not there."""
        selector = pafs.FileSelector(self.path(folder), allow_not_found=True, recursive=True)
        with self._explained(folder, "listed"):
            infos = self._fs.get_file_info(selector)
        for info in infos:
            if info.is_file:
                name = info.path.removeprefix(f"{self.root}/")
                yield File(name, info.size or 0, (info.mtime_ns or 0) / 1e9)

    # -- notes -----------------------------------------------------------------------------------

    def save(self, name: str, note: Any) -> None:
        """Make a note, or replace it."""
        self.write(name, json.dumps(note).encode())

    def load(self, name: str) -> Any:
        """What a note says; None if it is not there.

        Raises:
            StoreError: it is damaged.
        """
        content = self.read(name)
        try:
            return None if content is None else json.loads(content)
        except ValueError as error:
            raise StoreError(
                f"{self.path(name)} is damaged: {error}. It holds no result: delete it, "
                "then run the sweep again."
            ) from error

    def names(self, folder: str, suffix: str) -> list[str]:
        """The files in a folder whose names end so."""
        return [file.name for file in self.below(folder) if file.name.endswith(suffix)]

    @contextlib.contextmanager
    def _explained(self, name: str, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileError(
                f"{self.path(name)} cannot be {verb}: {error}. Make room or give "
                "permission, then run the sweep again; nothing that is committed is lost."
            ) from error


class LocalFiles(Files):
    """Files are written under a temporary name, synced and put in place."""

    create_is_exact = True

    def __init__(self, folder: Path) -> None:
        super().__init__(pafs.LocalFileSystem(), str(folder.resolve()))

    def _write(self, name: str, content: bytes) -> None:
        """By a rename."""
        write_atomically(Path(self.path(name)), content)

    def _create(self, name: str, content: bytes) -> bool:
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

    def _move(self, name: str, target: str) -> None:
        """By a rename."""
        self._fs.create_dir(self.path(target.rpartition("/")[0]))
        with contextlib.suppress(FileNotFoundError):
            self._fs.move(self.path(name), self.path(target))


def checksum_of(content: bytes) -> str:
    """32 hexadecimal digits that stand for a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


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
