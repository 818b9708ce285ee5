"""The record of the plan that each sweep's name stands for.

    sweeps/NAME.json                   whole
    grown/NAME/3f9a..../000012.json    what came later, of a plan that searches let grow: in pieces

A record that was written whole says which pieces are its own; others are of an earlier one. So a
plan of ten thousand candidates is not written ten thousand times.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.store.files import Files, at_once

PIECES = "pieces"  # in a record's file: the name of the folder of its pieces


class Records:
    """Reads and writes records; only the driver of a sweep writes its own."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._last: dict[str, tuple[str, int]] = {}  # by name: folder and number of pieces

    def save(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record whole, in place of the one before and all of its pieces."""
        if not record.get("searches"):
            self._files.save(f"sweeps/{name}.json", record)
            return
        pieces = uuid.uuid4().hex
        self._files.save(f"sweeps/{name}.json", {**record, PIECES: pieces})
        self._files.delete_all(f"grown/{name}")
        self._last[name] = (pieces, 0)

    def append(self, name: str, piece: Mapping[str, Any]) -> None:
        """Add to the record that `save` has written last (see `planning.record.piece_of`)."""
        pieces, number = self._last[name]
        self._files.save(f"grown/{name}/{pieces}/{number:06}.json", piece)
        self._last[name] = (pieces, number + 1)

    def load(self, name: str) -> dict[str, Any] | None:
        """The record of a name, with its pieces; None if there is none."""
        record: dict[str, Any] | None = self._files.load(f"sweeps/{name}.json")
        if record is None or (pieces := record.pop(PIECES, None)) is None:
            return record
        names = sorted(self._files.names(f"grown/{name}/{pieces}", ".json"))
        if not names:
            return record
        found = at_once(self._files.load, names)
        return joined(record, [piece for piece in found if piece is not None])

    def names(self) -> list[str]:
        """All names that stand for a plan."""
        names = self._files.names("sweeps", ".json")
        return sorted(name.removeprefix("sweeps/").removesuffix(".json") for name in names)


def joined(record: Mapping[str, Any], pieces: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A record with what its pieces add; of a candidate the last word counts."""
    leaves = dict(record["leaves"])
    splits = {(split["id"], split["protocol"]): split for split in record["splits"]}
    trials = {trial["trial_id"]: trial for trial in record["trials"]}
    stages = {stage["stage_id"]: stage for stage in record["stages"]}
    candidates: dict[str, dict[int, Any]] = {
        search["search_id"]: {each["number"]: each for each in search["candidates"]}
        for search in record["searches"]
    }
    for piece in pieces:
        leaves |= piece["leaves"]
        splits |= {(split["id"], split["protocol"]): split for split in piece["splits"]}
        trials |= {trial["trial_id"]: trial for trial in piece["trials"]}
        stages |= {stage["stage_id"]: stage for stage in piece["stages"]}
        for search_id, changed in piece["candidates"].items():
            candidates[search_id] |= {each["number"]: each for each in changed}
    searches = [
        {**search, "candidates": list(candidates[search["search_id"]].values())}
        for search in record["searches"]
    ]
    lists = {"splits": splits, "trials": trials, "stages": stages}
    plain = {key: list(values.values()) for key, values in lists.items()}
    return {**record, **plain, "searches": searches, "leaves": leaves}
