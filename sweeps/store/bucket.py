"""The store's files in a bucket (s3://, gs://), which has neither links nor renames."""

import contextlib
import os
import time
from pathlib import Path

import pyarrow.fs as pafs

from sweeps.store.files import Files, LocalFiles

SETTLE_S = 1.0  # longer than an upload of a marker or a lease takes

MANY = 20  # a listing tells of a thousand files at once, and of files that nobody asked for


class BucketFiles(Files):
    """Objects are shown whole or not at all, and are read back once written.

    There is no "make unless it is there" in all buckets alike: a file is made, and after a while
    looked at again. Two that make one within that while both find the later one there.
    """

    create_is_exact = False

    def _write(self, name: str, content: bytes) -> None:
        """By an upload, verified."""
        self._upload(name, content)
        if self.read(name) != content:
            raise OSError("it reads otherwise than it was written")

    def _create(self, name: str, content: bytes) -> bool:
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

    def _move(self, name: str, target: str) -> None:
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
