"""The store's files: whole or not there, in a folder (see `folder`) or a bucket (see `bucket`).

Whatever a disk or a server raises leaves as a FileError that says what to do.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from osr_core.errors import OsrError
from osr_core.results.whole_files import TEMPORARY

T = TypeVar("T")
AT_ONCE = 16  # files that are read at the same time


class StoreError(OsrError):
    """The store cannot be used, or a stage's result is not in it."""

    exit_code = 3


class FileError(StoreError):
    """A file of the store cannot be read or written; its cause is the system's own error."""


class UnreachableError(FileError):
    """The store does not answer now; it may the next time, and nobody has to make room for it."""


class NotDoneError(StoreError):
    """A stage has left no result, or what it had left was set aside since."""


class DamagedError(StoreError):
    """A result that does not match its checksum; the stage must be done again."""


@dataclass(frozen=True)
class File:
    """A file as it was found."""

    name: str
    bytes: int
    written_at: float  # seconds since 1970
    version: str = ""  # what a server calls this content of the file, if it does

    @property
    def is_temporary(self) -> bool:
        """Whether it is being written, or what a broken write left."""
        return self.name.endswith(TEMPORARY)


class Files(ABC):
    """Reads and writes by name below a root; every method may be called by many processes at once.

    No reader sees half of a file, and of several that make one file, one alone hears that it has.
    A note is a small file that holds JSON.

    Raises:
        FileError: no room, or no permission. UnreachableError: nobody answers.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)  # what the system raises
    at_start: str  # what to do where the store cannot be opened
    later: ClassVar[str]  # and where it fails afterwards

    def __init__(self, root: str) -> None:
        self.root = root

    # Each of these raises one of `failures` where it cannot be done.

    @abstractmethod
    def _read(self, name: str) -> bytes | None:
        """The content; None if there is no such file."""

    @abstractmethod
    def _write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it."""

    @abstractmethod
    def _create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one."""

    @abstractmethod
    def _move(self, name: str, target: str) -> None:
        """Give a folder another name."""

    @abstractmethod
    def _delete(self, names: list[str]) -> None:
        """Remove those files that are there."""

    @abstractmethod
    def _delete_all(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""

    @abstractmethod
    def _sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes of those files that are there."""

    @abstractmethod
    def _below(self, folder: str) -> Iterator[File]:
        """Every file in a folder and the folders in it."""

    def _wait(self, ask: Callable[[], T]) -> T:
        """What one of these gives."""
        return ask()

    def path(self, name: str) -> str:
        """Where a name lies, for people."""
        return f"{self.root}/{name}"

    @abstractmethod
    def passes(self, error: Exception) -> bool:
        """Whether one of `failures` is of a network, and may be over the next time."""

    def reason(self, error: BaseException | None) -> str:
        """What the system says of one of its `failures`, for people."""
        return str(error)

    # -- files -----------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """The content; None if there is no such file."""
        with self._explained(name, "read"):
            return self._wait(partial(self._read, name))

    def write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it."""
        with self._explained(name, "written"):
            self._wait(partial(self._write, name, content))

    def create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one."""
        with self._explained(name, "written"):
            return self._wait(partial(self._create, name, content))

    def move(self, name: str, target: str) -> None:
        """Give a folder another name, unless somebody else just did."""
        with self._explained(name, "moved"):
            self._wait(partial(self._move, name, target))

    def delete(self, *names: str) -> None:
        """Remove those files that are there."""
        with self._explained(names[0], "deleted"):
            self._wait(partial(self._delete, list(names)))

    def delete_all(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""
        with self._explained(name, "deleted"):
            self._wait(partial(self._delete_all, name))

    def sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes of those files that are there."""
        if not names:
            return {}
        with self._explained(names[0], "found"):
            return self._wait(partial(self._sizes, names))

    def there(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self.sizes([name]))

    def below(self, folder: str) -> list[File]:
        """Every file in a folder and the folders in it; none if it is not there."""
        with self._explained(folder, "listed"):
            return self._wait(lambda: list(self._below(folder)))

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
    def opened(self, uri: object) -> Iterator[None]:
        """What keeps a store at a path or URI from being opened is said with what to do."""
        try:
            yield
        except FileError as error:
            reason = self.reason(error.__cause__)
            raise type(error)(f"store {uri} cannot be used: {reason}. {self.at_start}") from error

    @contextlib.contextmanager
    def _explained(self, name: str, verb: str) -> Iterator[None]:
        try:
            yield
        except self.failures as error:
            raise (UnreachableError if self.passes(error) else FileError)(
                f"{self.path(name)} cannot be {verb}: {self.reason(error)}. {self.later}, then run "
                "the sweep again; nothing that is committed is lost."
            ) from error


def at_once(read: Callable[[str], T], names: Iterable[str]) -> list[T]:
    """What each name reads as, in order; a bucket takes its time for each, but not for several."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(read, names))
