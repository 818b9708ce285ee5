"""The store's files in a folder."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

from osr_core.results.whole_files import create_once, write_atomically
from sweeps.store.files import File, Files

OF_NETWORK = {
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


class LocalFiles(Files):
    """Files are written under a temporary name, synced and put in place."""

    at_start = "Choose a folder that you can write to with --home or OSR_HOME."
    later = "Make room or give permission"

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder.absolute()))

    def passes(self, error: Exception) -> bool:
        """A folder may be another machine's."""
        return isinstance(error, OSError) and error.errno in OF_NETWORK

    def reason(self, error: BaseException | None) -> str:
        """Without the path, which may be of a file that was to get this name."""
        return str(getattr(error, "strerror", None) or error)

    def _read(self, name: str) -> bytes | None:
        try:
            return Path(self.path(name)).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        """By a rename."""
        write_atomically(Path(self.path(name)), content)

    def _create(self, name: str, content: bytes) -> bool:
        """By a link, which unlike a rename fails where the name is taken."""
        return create_once(Path(self.path(name)), content)

    def _move(self, name: str, target: str) -> None:
        """By a rename."""
        Path(self.path(target)).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            Path(self.path(name)).rename(self.path(target))

    def _delete(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                Path(self.path(name)).unlink()

    def _delete_all(self, name: str) -> None:
        path = Path(self.path(name))
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            rmtree(path) if path.is_dir() else path.unlink()

    def _sizes(self, names: list[str]) -> dict[str, int]:
        found = {name: self._look(Path(self.path(name))) for name in names}
        return {name: file.bytes for name, file in found.items() if file is not None}

    def _below(self, folder: str) -> Iterator[File]:
        for place, _, names in os.walk(self.path(folder), onerror=_unless_gone):
            for name in names:
                if (file := self._look(Path(place, name))) is not None:
                    yield file

    def _look(self, path: Path) -> File | None:
        """A file as it is now, if it is there."""
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        name = str(path.relative_to(self.root))
        return File(name, found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None


def _unless_gone(error: OSError) -> None:
    """For a listing: a folder that is not there has no files."""
    if not isinstance(error, FileNotFoundError):
        raise error
