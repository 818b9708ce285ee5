"""The store's files with errors that teach, and small JSON files among them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from osr_core.errors import OsrError
from sweeps.store.files import Files


class StoreError(OsrError):
    """The store cannot be used, or a stage's result is not in it."""


class Notes:
    """Writes files whole or not at all; a note is one that holds JSON.

    Raises:
        StoreError: no room or no permission to write, or a note that is damaged.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def write(self, name: str, content: bytes) -> None:
        """Make a file, or replace it."""
        with self._explained(name):
            self._files.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Make a file; False if there is one."""
        with self._explained(name):
            return self._files.create(name, content)

    def save(self, name: str, note: Any) -> None:
        """Make a note, or replace it."""
        self.write(name, json.dumps(note).encode())

    def load(self, name: str) -> Any:
        """What a note says; None if it is not there."""
        content = self._files.read(name)
        try:
            return None if content is None else json.loads(content)
        except ValueError as error:
            raise StoreError(
                f"{self.path(name)} is damaged: {error}. It holds no result: delete it, "
                "then run the sweep again."
            ) from error

    def names(self, folder: str, suffix: str) -> list[str]:
        """The notes in a folder."""
        return [file.name for file in self._files.below(folder) if file.name.endswith(suffix)]

    def there(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self._files.sizes([name]))

    def path(self, name: str) -> str:
        """Where a file lies, for people."""
        return self._files.path(name)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self.path(name)} cannot be written: {error}. Make room or give "
                "permission, then run the sweep again; nothing that is committed is lost."
            ) from error
