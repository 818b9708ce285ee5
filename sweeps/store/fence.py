"""Who runs a sweep, as the store knows it: numbered leases, of which the highest holds.

leases/NAME/N.json   the Nth driver of the sweep: who, since when, heartbeats so far
leases/NAME/N.stop   it asks its workers to save and stop
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.store.notes import Notes, StoreError


class FencedError(StoreError):
    """Another driver has taken the sweep over; what this one's workers did is not wanted."""


class ElsewhereError(StoreError):
    """This machine does not see the store of the sweep's driver."""


@dataclass(frozen=True)
class Fence:
    """The driver that a worker works for; only the latest of a sweep may commit."""

    sweep: str
    number: int


class Leases:
    """Reads and writes leases; every method may be called by many processes at once."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def sweeps(self) -> list[str]:
        """Names of all sweeps that ever had a driver."""
        return sorted({name.split("/")[1] for name in self._notes.names("leases", ".json")})

    def latest(self, sweep: str) -> tuple[int, dict[str, Any] | None]:
        """The highest number given to a driver of a sweep, 0 at first, and its record."""
        names = [name.rpartition("/")[2] for name in self._notes.names(f"leases/{sweep}", ".json")]
        numbers = [int(name[:-5]) for name in names if name[:-5].isdigit()]
        number = max(numbers, default=0)
        return number, self._notes.load(_file(sweep, number))

    def create(self, sweep: str, number: int, record: Mapping[str, Any]) -> bool:
        """Take a number; False where another driver was faster."""
        return self._notes.create(_file(sweep, number), json.dumps(record).encode())

    def write(self, sweep: str, number: int, record: Mapping[str, Any]) -> None:
        """Bring one's own lease up to date."""
        self._notes.save(_file(sweep, number), record)

    def check(self, fence: Fence | None) -> None:
        """FencedError where a later driver than `fence` has its sweep."""
        if fence is None:
            return
        latest, holder = self.latest(fence.sweep)
        if latest > fence.number:
            by = f"process {holder['pid']} on {holder['host']}" if holder else "another driver"
            raise FencedError(f"sweep '{fence.sweep}' was taken over by {by}; nothing committed")

    def check_is_here(self, fence: Fence) -> None:
        """ElsewhereError where the driver of a worker uses another store than this one."""
        file = _file(fence.sweep, fence.number)
        if not self._notes.there(file):
            raise ElsewhereError(
                f"{self._notes.path(file)} is not on {socket.gethostname()}: the driver of sweep "
                f"'{fence.sweep}' uses another store. Put the home into a folder that all machines "
                "share, or set OSR_STORE to a bucket."
            )

    def ask_to_stop(self, fence: Fence) -> None:
        """Tell the workers of a driver to save and stop."""
        self._notes.write(_stop(fence), b"")

    def asked_to_stop(self, fence: Fence) -> bool:
        """Whether the driver has asked its workers to stop."""
        return self._notes.there(_stop(fence))


def _file(sweep: str, number: int) -> str:
    return f"leases/{sweep}/{number}.json"


def _stop(fence: Fence) -> str:
    return f"leases/{fence.sweep}/{fence.number}.stop"
