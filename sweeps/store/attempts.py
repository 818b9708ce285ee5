"""What the store knows of attempts at stages: retries, failures, checkpoints, progress, logs."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osr_core.results.layout import checkpoint_of
from osr_core.results.saved_state import SavedState
from sweeps.store.files import Files, StoreError
from sweeps.store.layout import stage_of


class Attempts:
    """Reads and writes by stage id; every method may be called by many processes at once."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save_retry(self, stage_id: str, cause: str, reason: str) -> None:
        """Remember an attempt that came to nothing and is repeated; only drivers call this.

        It is for people: one that cannot be written ends nothing.
        """
        attempt = {"cause": cause, "reason": reason, "failed_at": time.time()}
        with contextlib.suppress(StoreError):
            self._files.save(f"retries/{stage_id}.json", [*self.retries(stage_id), attempt])

    def retries(self, stage_id: str) -> list[dict[str, Any]]:
        """The attempts that came to nothing and were repeated, oldest first."""
        return self._files.load(f"retries/{stage_id}.json") or []

    def save_failure(self, stage_id: str, reason: str, traceback: str) -> None:
        """Remember why a stage was given up."""
        failure = {"reason": reason, "traceback": traceback, "failed_at": time.time()}
        self._files.save(f"failures/{stage_id}.json", failure)

    def failure(self, stage_id: str) -> dict[str, Any] | None:
        """Why a stage was given up, if it was."""
        found: dict[str, Any] | None = self._files.load(f"failures/{stage_id}.json")
        return found

    def failures(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of `ids` that were given up, and why."""
        return self._noted("failures", ".json", ids)

    def given_up(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that were given up; one request."""
        return self._named("failures", ".json").keys() & set(ids)

    def forget_failures(self, ids: Iterable[str]) -> None:
        """Stages are to be tried again."""
        if names := [f"failures/{stage_id}.json" for stage_id in ids]:
            self._files.delete(*names)

    def load_checkpoint(self, stage_id: str) -> SavedState | None:
        """The state of an unfinished fit, if any; a damaged one is removed, and none."""
        name = checkpoint_of(stage_id)
        found = self._files.read(name)
        if found is None:
            return None
        if (state := SavedState.decode(found)) is None:
            self._files.delete(name)
        return state

    def save_checkpoint(self, stage_id: str, state: SavedState) -> None:
        """Replace the state of an unfinished fit."""
        self._files.write(checkpoint_of(stage_id), state.encode())

    def save_progress(
        self,
        stage_id: str,
        num_epochs: int,
        started_at: float,
        rows: Sequence[Mapping[str, Any]],
        *,
        host: str,
    ) -> None:
        """Tell how far an attempt at a fit on a machine is, and its numbers so far.

        `rows` hold {"epoch", "at": seconds since 1970, name: value} of every epoch done, those of
        earlier attempts that this one goes on from included.
        """
        progress = {
            "epochs_done": rows[-1]["epoch"] if rows else 0,
            "num_epochs": num_epochs,
            "started_at": started_at,
            "host": host,
            "rows": rows,
        }
        self._files.save(f"work/{stage_id}.progress", progress)

    def progress(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those fits of `ids` that were begun and are not committed, with what they have told."""
        return self._noted("work", ".progress", ids)

    def begun(self, ids: Iterable[str]) -> set[str]:
        """Those fits of `ids` that were begun; one request."""
        return self._named("work", ".progress").keys() & set(ids)

    def progress_of(self, stage_id: str) -> dict[str, Any] | None:
        """What a fit that is not committed has told, if anything."""
        found: dict[str, Any] | None = self._files.load(f"work/{stage_id}.progress")
        return found

    def save_log(self, stage_id: str, text: str) -> None:
        """Replace a stage's log: what its attempts have told people, one after the other."""
        self._files.write(f"logs/{stage_id}.log", text.encode())

    def log(self, stage_id: str) -> str | None:
        """A stage's log, if any of its attempts has told anything."""
        found = self._files.read(f"logs/{stage_id}.log")
        return None if found is None else found.decode(errors="replace")

    def log_sizes(self, ids: Iterable[str]) -> dict[str, int]:
        """Bytes of those logs of `ids` that are there."""
        names = {f"logs/{stage_id}.log": stage_id for stage_id in ids}
        return {names[name]: size for name, size in self._files.sizes([*names]).items()}

    def _noted(self, folder: str, suffix: str, ids: Iterable[str]) -> dict[str, Any]:
        """By stage id, from one listing: few of many stages have a note."""
        names = self._named(folder, suffix)
        notes = {each: self._files.load(names[each]) for each in ids if each in names}
        return {stage_id: note for stage_id, note in notes.items() if note is not None}

    def _named(self, folder: str, suffix: str) -> dict[str, str]:
        """The notes of a folder by stage id."""
        return {stage_of(name): name for name in self._files.names(folder, suffix)}
