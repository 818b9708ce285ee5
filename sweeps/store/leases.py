"""One driver per sweep: a numbered lease in the store, kept alive by a heartbeat.

    leases/NAME/7.json   the seventh driver of this sweep: who, since when, heartbeats so far

The highest number holds the sweep. A driver that was taken over still has a lower number, and the
store refuses what its workers try to commit. Whether a holder lives is judged without comparing
clocks: on its own machine by its process, elsewhere by watching its heartbeats.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from osr_core.errors import OsrError
from sweeps.store.files import Files, StoreError

BEAT_S = 2.0
RELEASE_S = 5.0  # how long the end of a driver waits for a store that is to hear of it
WATCH_S = 12.0  # a holder on another machine that shows no heartbeat for so long is dead

Holder = Mapping[str, Any]  # what a lease says of its driver


class LeaseHeldError(OsrError):
    """Another driver runs this sweep."""


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

    def __init__(self, files: Files) -> None:
        self._files = files

    def sweeps(self) -> list[str]:
        """Names of all sweeps that ever had a driver."""
        return sorted({name.split("/")[1] for name in self._files.names("leases", ".json")})

    def latest_numbers(self) -> dict[str, int]:
        """The number of the latest driver of every sweep; one request."""
        numbers: dict[str, int] = {}
        for name in self._files.names("leases", ".json"):
            _, sweep, file = name.split("/")
            if file[:-5].isdigit():
                numbers[sweep] = max(numbers.get(sweep, 0), int(file[:-5]))
        return numbers

    def read(self, sweep: str, number: int) -> Holder | None:
        """Who the driver with this number is."""
        holder: Holder | None = self._files.load(_file(sweep, number))
        return holder

    def latest(self, sweep: str) -> tuple[int, Holder | None]:
        """The highest number given to a driver of a sweep, 0 at first, and who that is."""
        names = [name.rpartition("/")[2] for name in self._files.names(f"leases/{sweep}", ".json")]
        numbers = [int(name[:-5]) for name in names if name[:-5].isdigit()]
        number = max(numbers, default=0)
        return number, self.read(sweep, number)

    def driver(self, fence: Fence | None) -> Holder:
        """What is known of a driver; nothing of none."""
        return (fence and self.read(fence.sweep, fence.number)) or {}

    def create(self, sweep: str, number: int, holder: Holder) -> bool:
        """Take a number; False where another driver was faster."""
        return self._files.create(_file(sweep, number), json.dumps(holder).encode())

    def write(self, sweep: str, number: int, holder: Holder) -> None:
        """Bring one's own lease up to date."""
        self._files.save(_file(sweep, number), holder)

    def bury(self, sweep: str, number: int, holder: Holder) -> None:
        """Note that a driver has died; one that lives after all notes its next heartbeat."""
        self.write(sweep, number, {**holder, "released": True, "died": True})

    def check(self, fence: Fence | None) -> None:
        """FencedError where a later driver than `fence` has its sweep."""
        if fence is None:
            return
        latest, holder = self.latest(fence.sweep)
        if latest > fence.number:
            by = f"process {holder['pid']} on {holder['host']}" if holder else "another driver"
            raise FencedError(
                f"sweep '{fence.sweep}' was taken over by {by}, which goes on with it; what was "
                "committed before is kept"
            )

    def check_is_here(self, fence: Fence) -> None:
        """ElsewhereError where the driver of a worker uses another store than this one."""
        file = _file(fence.sweep, fence.number)
        if not self._files.there(file):
            raise ElsewhereError(
                f"{self._files.path(file)} is not on {socket.gethostname()}: the driver of sweep "
                f"'{fence.sweep}' uses another store. Put the home into a folder that all machines "
                "share, or set OSR_STORE to a bucket."
            )


class Lease:
    """The right to run a sweep, used as a context manager."""

    def __init__(
        self,
        leases: Leases,
        sweep: str,
        *,
        take_over: bool,
        dead: int | None = None,
        says: Holder | None = None,
    ) -> None:
        """`dead` is the number of a driver that is known to live no more; `says` is kept with what
        a lease says of its driver anyway.
        """
        self.says = says or {}
        self.leases, self.sweep, self.take_over, self.dead = leases, sweep, take_over, dead
        self._ended = threading.Event()
        self._beater = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            LeaseHeldError: a living driver holds it and `take_over` is not set.
        """
        while True:
            number, holder = self.leases.latest(self.sweep)
            if (
                holder is not None
                and number != self.dead
                and not self.take_over
                and lives(self.leases, self.sweep, number, holder)
            ):
                raise LeaseHeldError(
                    f"{held(self.sweep, holder)}. Wait for it, stop it, or let this one go on in "
                    "its place: osr run ... --take-over."
                )
            self.number = number + 1
            self.holder: dict[str, Any] = {
                "host": socket.gethostname(),
                "boot": boot_id(),
                "pid_space": pid_space(),
                "pid": os.getpid(),
                "process_started": started_at(os.getpid()),
                "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
                "beats": 0,
                "released": False,
                "work": None,
                **self.says,
            }
            if self.leases.create(self.sweep, self.number, self.holder):
                self._beater.start()
                return self

    def tell(self, work: Mapping[str, Any]) -> None:
        """Let what the driver has and wants stand in the lease, from the next heartbeat on."""
        self.holder["work"] = work

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._beater.join(RELEASE_S)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            self.holder["beats"] += 1
            with contextlib.suppress(StoreError):  # the next beat may succeed
                self.leases.write(self.sweep, self.number, self.holder)
        with contextlib.suppress(StoreError):  # a full disk must not hide why the sweep ended
            self.leases.write(self.sweep, self.number, {**self.holder, "released": True})


def held(sweep: str, holder: Holder) -> str:
    """Who runs a sweep, for people."""
    return f"sweep '{sweep}' is being run by {process_of(holder)}"


def process_of(holder: Holder) -> str:
    """A driver, for people."""
    who = f", started by {by}" if (by := holder.get("by")) else ""
    why = f" ({reason})" if (reason := holder.get("reason")) else ""
    return f"process {holder['pid']} on {holder['host']} since {holder['since']}{who}{why}"


def boot_id() -> str:
    """Tells this machine from others of the same name, and from itself before a restart."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def pid_space() -> str:
    """Tells the processes that this one can see from those of other containers on the machine."""
    link = Path("/proc/self/ns/pid")
    return str(link.readlink()) if link.exists() else ""


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


def is_of_this_machine(holder: Holder) -> bool:
    """Whether a holder's process can be looked at."""
    here = (socket.gethostname(), boot_id(), pid_space())
    return (holder["host"], holder["boot"], holder.get("pid_space")) == here


def lives(leases: Leases, sweep: str, number: int, holder: Holder) -> bool:
    """Whether a holder's process still runs, as far as this machine can tell."""
    if holder["released"]:
        return False
    if is_of_this_machine(holder):
        return bool(started_at(holder["pid"]) == holder["process_started"])
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        time.sleep(BEAT_S / 4)
        latest, now = leases.latest(sweep)
        if latest != number or (now is not None and now["beats"] != holder["beats"]):
            return True
    return False


def _file(sweep: str, number: int) -> str:
    return f"leases/{sweep}/{number}.json"
