"""How Ray starts on this machine, where it would do so otherwise than a user needs."""

import fcntl
import logging
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import services, worker

from sweeps.signals import unheard_below

# Ray's node ends if its helpers need more than 15 s to start, as on a machine that is busy.
TRIES = 3
TURN_S = 180.0  # who has stopped with Ctrl-Z while it began keeps nobody for good
KILLED_S = 10.0  # until what was killed is gone
QUIETLY = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}

Daemon = subprocess.Popen[bytes]


def start(**settings: Any) -> None:
    """Start a cluster of this machine, with settings of `ray.init`.

    Raises:
        Exception: what Ray raised, at the last of TRIES if no node came up.
    """
    for number in range(1, TRIES + 1):
        with one_at_a_time(), in_own_folder(), unheard_below(), apart() as daemons:
            try:
                ray.init(address="local", **QUIETLY, **settings)
                return
            except Exception:
                has_node = worker._global_node is not None  # then Ray cannot begin anew
                if not has_node:
                    end(daemons)  # Ray would leave them
                if has_node or number == TRIES:
                    raise


def join(address: str) -> None:
    """Join the cluster at HOST:PORT, or the one of this machine ("auto")."""
    with in_own_folder():
        ray.init(address=address, **QUIETLY)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until nobody else of this user starts Ray on this machine, TURN_S at most: two that
    begin together are late for each other, and so are their next tries.
    """
    waits_until = time.monotonic() + TURN_S
    with (Path(tempfile.gettempdir()) / f"osr-ray-{os.getuid()}.lock").open("w") as lock:
        while time.monotonic() < waits_until:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process closes it
                break
            time.sleep(0.1)
        yield


@contextmanager
def in_own_folder() -> Iterator[None]:
    """Work in the folder that holds these packages while a block runs.

    Ray puts the driver's working folder before all others on which its workers look for modules:
    the user's `sweeps.py`, or `numpy.py`, would be imported there in place of ours.
    """
    with chdir(Path(__file__).parents[2]):
        yield


@contextmanager
def apart() -> Iterator[list[Daemon]]:
    """Ray's daemons that are started while a block runs; they hear no signal to the driver's group,
    such as that of `timeout` or a service manager: all would be lost before it is saved.
    """
    popen = services.ConsolePopen
    daemons: list[Daemon] = []

    def start_apart(*arguments: Any, **options: Any) -> Any:
        daemons.append(popen(*arguments, process_group=0, **options))
        return daemons[-1]

    services.ConsolePopen = start_apart
    try:
        yield daemons
    finally:
        services.ConsolePopen = popen


def end(daemons: Sequence[Daemon]) -> None:
    """Kill processes with all that they have started in their groups."""
    for daemon in daemons:
        with suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
    for daemon in daemons:
        with suppress(subprocess.TimeoutExpired):  # one that waits for a broken disk
            daemon.wait(KILLED_S)
