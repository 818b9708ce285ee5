"""Data sets in the store, from which machines take what they lack.

    data/sets/NAME-3f9a....json   {"facts": what a plan needs to know of it (planning.known_data),
                                   "files": {path below a data root: checksum}}
    data/files/3f9a....           a file, by its checksum

A version of a data set is a set of its own, and is there once its note is, which comes last.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from osr_core.identity import digest
from osr_core.results.whole_files import checksum_of
from sweeps.store.bucket import files_at
from sweeps.store.files import Files, StoreError, at_once

Note = Mapping[str, Any]
SETS, FILES = "data/sets", "data/files"


class SharedData:
    """Reads and writes the data sets of a store."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @classmethod
    def at(cls, uri: str | Path) -> Self:
        """Those of the store at a path or URI, which need not be there."""
        return cls(files_at(uri))

    def share(
        self, facts: Mapping[str, Any], paths: Mapping[str, Path], tell: Callable[[int], None]
    ) -> bool:
        """Keep a data set's files, by their paths below a data root; False: all were kept before.

        `tell` hears the bytes of each file that is kept. An interrupted call is gone on with.
        """

        def keep(path: str) -> tuple[str, str]:
            content = paths[path].read_bytes()
            checksum = checksum_of(content)
            name = f"{FILES}/{checksum}"
            if self._files.sizes([name]).get(name) != len(content):
                self._files.write(name, content)
            tell(len(content))
            return path, checksum

        files = dict(at_once(keep, sorted(paths)))
        note = {"facts": facts, "files": files}
        name = f"{prefix_of(str(facts['name']))}{digest([note])}.json"
        return self._files.create(name, json.dumps(note).encode())

    def of(self, name: str) -> list[Note]:
        """All versions of a data set that are kept."""
        listed = [each for each in self._files.names(SETS, ".json") if prefix_of(name) in each]
        found = [note for note in at_once(self._files.load, listed) if note is not None]
        return [note for note in found if note["facts"]["name"] == name]

    def facts(self, name: str) -> list[Mapping[str, Any]]:
        """What a plan needs to know of each version of a data set."""
        return [note["facts"] for note in self.of(name)]

    def read(self, checksum: str) -> bytes:
        """A file's content.

        Raises:
            StoreError: it is not there, or damaged.
        """
        name = f"{FILES}/{checksum}"
        content = self._files.read(name)
        if content is None or checksum_of(content) != checksum:
            raise StoreError(f"{self._files.path(name)} is missing or damaged: share it again")
        return content


def prefix_of(name: str) -> str:
    """How the names of a data set's notes begin; not all file systems have a place for a colon."""
    return f"{SETS}/{name.replace(':', '-')}-"
