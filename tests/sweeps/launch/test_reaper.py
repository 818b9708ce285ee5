"""Nothing that a driver has started is left once it is gone, however short a time it was there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from sweeps.launch.reaper import MARK, Reaper, marked, runs

# A driver that is killed just after a child of it was, whose own child had begun an instant before.
DRIVER = """
import os, signal, subprocess, sys
from sweeps.launch.reaper import Reaper

MIDDLE = "import subprocess as s; print(s.Popen(['sleep', '600'], stdout=s.DEVNULL).pid)"
with Reaper():
    done = subprocess.run([sys.executable, "-c", MIDDLE], stdout=subprocess.PIPE, text=True)
    print(done.stdout.strip(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def wait_until_gone(process: psutil.Process) -> None:
    """It is killed soon."""
    deadline = time.monotonic() + 60
    while runs(process):
        assert time.monotonic() < deadline, "it was left behind"
        time.sleep(0.05)


def test_an_orphan_that_was_never_seen_is_killed() -> None:
    """Between two looks a process may begin and lose its parent: the tree does not show it."""
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        orphan = psutil.Process(int(it.stdout.readline()))
    wait_until_gone(orphan)


def test_what_a_driver_left_that_died_before_its_reaper_began_is_killed() -> None:
    """The machine is busy, and a reaper takes a second to begin; its driver's number means nothing
    any more, and may be another process's.
    """
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    with kept(["sh", "-c", "sleep 600 & wait"]) as other, kept(["sleep", "600"], "mine") as left:
        for pid in (dead.pid, other.pid):
            reaper = [sys.executable, "-P", "-m", "sweeps.launch.reaper", str(pid), "mine"]
            subprocess.run(reaper, stdin=subprocess.DEVNULL, check=True)
        wait_until_gone(psutil.Process(left.pid))
        assert [runs(each) for each in psutil.Process(other.pid).children()] == [True]


@contextmanager
def kept(command: list[str], mark: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a mark, and what it starts, for a block."""
    environment = {**os.environ, MARK: mark}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_only_what_begins_while_it_watches_is_marked() -> None:
    """The next sweep of this process has a mark of its own, and other programs have none."""
    with subprocess.Popen(["sleep", "600"]) as other:
        with Reaper():
            mark = os.environ[MARK]
            with subprocess.Popen(["sleep", "600"]) as inner:
                assert marked(mark) >= {psutil.Process(inner.pid)}
                assert psutil.Process(other.pid) not in marked(mark)
                inner.kill()
        assert MARK not in os.environ
        other.kill()
