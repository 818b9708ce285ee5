"""What searches were told is listed once and read several at a time."""

import threading
from collections.abc import Callable
from pathlib import Path

from sweeps.store.folder import LocalFiles
from sweeps.store.memories import Memories


class Counted(LocalFiles):
    """Counts listings, and how many files are read at the same time."""

    listings = 0
    most = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.together = threading.Barrier(4)

    def _below(self, folder: str):  # type: ignore[no-untyped-def]
        self.listings += 1
        return super()._below(folder)

    def _read(self, name: str) -> bytes | None:
        self.together.wait(timeout=60)  # four readers, or none goes on
        return super()._read(name)


def test_a_history_is_listed_once_and_read_at_once(tmp_path: Path):
    """A bucket takes its time for each file: twenty thousand of them one by one are minutes."""
    memories = Memories(LocalFiles(tmp_path))
    memories.begin("a", list)
    for number in range(4):
        memories.ask("a", number, {"alpha": number})
        memories.tell("a", number, {"state": "complete"})
    files = Counted(tmp_path)
    asked, told = Memories(files).history("a")
    assert asked == {number: {"alpha": number} for number in range(4)}
    assert told == {number: {"state": "complete"} for number in range(4)}
    assert files.listings == 1


def test_what_is_forgotten_begins_anew(tmp_path: Path):
    """With what it knows then from elsewhere."""
    memories = Memories(LocalFiles(tmp_path))
    first: Callable[[], list[int]] = lambda: [1]  # noqa: E731
    assert memories.begin("a", first) == [1]
    memories.ask("a", 0, {})
    memories.forget("a")
    assert memories.history("a") == ({}, {})
    assert memories.begin("a", lambda: [2]) == [2]
