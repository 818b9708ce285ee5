"""One driver per sweep: a numbered lease in the store, kept alive by a heartbeat.

    leases/NAME/7.json   the seventh driver of this sweep: who, since when, heartbeats so far

The highest number holds the sweep. A driver that was taken over still has a lower number, and the
store refuses what its workers try to commit. Whether a holder lives is judged without comparing
clocks: on its own machine by its process, elsewhere by watching its heartbeats.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from osr_core.errors import OsrError
from sweeps.store.notes import StoreError
from sweeps.store.store import Store

BEAT_S = 2.0
WATCH_S = 12.0  # a holder on another machine that shows no heartbeat for so long is dead


class LeaseHeldError(OsrError):
    """Another driver runs this sweep."""


class Lease:
    """The right to run a sweep, used as a context manager."""

    def __init__(self, store: Store, sweep: str, *, take_over: bool) -> None:
        self.store, self.sweep, self.take_over = store, sweep, take_over
        self._ended = threading.Event()
        self._beater = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            LeaseHeldError: a living driver holds it and `take_over` is not set.
        """
        while True:
            number, holder = self.store.leases.latest(self.sweep)
            if (
                holder is not None
                and not self.take_over
                and lives(self.store, self.sweep, number, holder)
            ):
                raise LeaseHeldError(
                    f"{held(self.sweep, holder)}. Wait for it, stop it, or let this one go on in "
                    "its place: osr run ... --take-over."
                )
            self.number = number + 1
            self.record: dict[str, Any] = {
                "host": socket.gethostname(),
                "boot": boot_id(),
                "pid": os.getpid(),
                "process_started": started_at(os.getpid()),
                "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
                "beats": 0,
                "released": False,
            }
            if self.store.leases.create(self.sweep, self.number, self.record):
                self._beater.start()
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._beater.join()
        with contextlib.suppress(StoreError):  # a full disk must not hide why the sweep ended
            self.store.leases.write(self.sweep, self.number, {**self.record, "released": True})

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            self.record["beats"] += 1
            with contextlib.suppress(StoreError):  # the next beat may succeed
                self.store.leases.write(self.sweep, self.number, self.record)


def held(sweep: str, holder: Mapping[str, Any]) -> str:
    """Who runs a sweep, for people."""
    return (
        f"sweep '{sweep}' is being run by process {holder['pid']} on {holder['host']} since "
        f"{holder['since']}"
    )


def boot_id() -> str:
    """Tells this machine from others of the same name, and from itself before a restart."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def started_at(pid: int) -> str | None:
    """What tells a process from all others that had or will have its number; None: it is gone.

    Seconds since 1970 would move when the clock is set; on Linux, ticks since boot do not.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:  # dead, and nobody has asked how
            return None
        if not boot_id():
            return str(process.create_time())
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[19]  # field 22; a name may hold spaces
    except (psutil.NoSuchProcess, OSError):
        return None


def is_of_this_machine(holder: Mapping[str, Any]) -> bool:
    """Whether a holder's process can be looked at."""
    return (holder["host"], holder["boot"]) == (socket.gethostname(), boot_id())


def lives(store: Store, sweep: str, number: int, holder: Mapping[str, Any]) -> bool:
    """Whether a holder's process still runs, as far as this machine can tell."""
    if holder["released"]:
        return False
    if is_of_this_machine(holder):
        return bool(started_at(holder["pid"]) == holder["process_started"])
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        time.sleep(BEAT_S / 4)
        latest, now = store.leases.latest(sweep)
        if latest != number or (now is not None and now["beats"] != holder["beats"]):
            return True
    return False
