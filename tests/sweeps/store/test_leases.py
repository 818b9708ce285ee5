"""Who holds a sweep is judged without comparing clocks."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweeps.commands.status import driver_lines
from sweeps.home import Home
from sweeps.launch import reaper
from sweeps.store import leases, witness
from sweeps.store.leases import (
    Fence,
    FencedError,
    Lease,
    LeaseHeldError,
    boot_id,
    pid_space,
    started_at,
)
from sweeps.store.store import Store
from sweeps.store.witness import Witness


def test_a_clock_that_is_set_does_not_change_when_a_process_began(monkeypatch: pytest.MonkeyPatch):
    """Psutil adds the time of the boot, which moves with the clock; ours is counted since then."""
    before = started_at(os.getpid())
    monkeypatch.setattr(psutil, "boot_time", lambda: time.time() - 3600)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: time.time() - 3600)
    assert started_at(os.getpid()) == before
    assert started_at(2**22 + 1) is None


def test_a_process_with_a_dead_ones_number_is_not_it(tmp_path: Path):
    """Numbers of processes come again."""
    store = Store(tmp_path)
    record = {**holder(), "process_started": "17"}
    store.leases.create("digits", 1, record)
    with Lease(store.leases, "digits", take_over=False) as taken:
        assert taken.number == 2
        store.leases.check(Fence("digits", 2))
        with pytest.raises(FencedError, match="taken over"):
            store.leases.check(Fence("digits", 1))


def test_a_driver_that_died_unnoticed_holds_nothing(tmp_path: Path):
    """In a container nobody may ask how it ended, and its number stays in the list."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the list
    assert psutil.Process(dead.pid).status() == psutil.STATUS_ZOMBIE
    assert started_at(dead.pid) is None
    assert not reaper.runs(psutil.Process(dead.pid))
    dead.wait()


@pytest.mark.parametrize("beats", [True, False], ids=["beating", "silent"])
@pytest.mark.parametrize("where", ["host", "boot", "pid_space"])
def test_a_driver_on_another_machine_lives_while_it_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: bool, where: str
):
    """Its process cannot be seen from here, also where both machines have one name."""
    monkeypatch.setattr(leases, "WATCH_S", 1.0)
    store = Store(tmp_path)
    other = {**holder(), where: "elsewhere", "process_started": "17"}
    store.leases.create("digits", 1, other)
    monkeypatch.setattr(time, "sleep", lambda seconds: beat(store, other) if beats else None)
    if beats:
        with (
            pytest.raises(LeaseHeldError, match="is being run by process"),
            Lease(store.leases, "digits", take_over=False),
        ):
            raise AssertionError("it must not be entered")
    else:
        with Lease(store.leases, "digits", take_over=False) as taken:
            assert taken.number == 2


def test_osr_status_names_a_sweeps_driver_or_says_that_it_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One on another machine is looked at until it has shown a heartbeat, or none for too long."""
    monkeypatch.setattr(witness, "WATCH_S", 1.0)
    home = Home(tmp_path)
    store, here = Store(home.store), holder()

    def told() -> list[str]:
        return driver_lines(store, home, Witness(store.leases).lives(["digits"]))

    assert told() == []
    process = f"process {os.getpid()} on {here['host']} since {here['since']}"
    store.leases.create("digits", 1, here)
    assert told() == [f"sweep 'digits' is being run by {process}"]
    died = f"sweep 'digits' is not being run: its driver has died ({process}). Run it again to "
    for number, dead in ((2, {"process_started": "17"}), (3, {"boot": "elsewhere"})):
        store.leases.create("digits", number, {**here, **dead})
        assert told() == told() == [f"{died}go on."]  # noted, and told to whoever asks later
        assert store.leases.latest("digits")[1] == {
            **{**here, **dead},
            **{"released": True, "died": True},
        }
    store.leases.create("digits", 4, {**here, "boot": "elsewhere", "released": True})
    assert told() == []


def test_a_driver_on_another_machine_that_beats_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And nothing is noted of its death."""
    home = Home(tmp_path)
    store, other = Store(home.store), {**holder(), "boot": "elsewhere"}
    store.leases.create("digits", 1, other)
    monkeypatch.setattr(time, "sleep", lambda seconds: beat(store, other))
    (line,) = driver_lines(store, home, Witness(store.leases).lives(["digits"]))
    assert "is being run by process" in line


def holder() -> dict[str, Any]:
    """The record of a driver that is this process."""
    about = {"host": os.uname().nodename, "pid": os.getpid(), "since": "2026-01-01 00:00:00 UTC"}
    about |= {"boot": boot_id(), "pid_space": pid_space()}
    return {**about, "process_started": started_at(os.getpid()), "beats": 0, "released": False}


def beat(store: Store, record: dict[str, Any]) -> None:
    """What the other driver does meanwhile."""
    record["beats"] += 1
    store.leases.write("digits", 1, record)
