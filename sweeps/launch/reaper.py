"""Sees to it that nothing of a driver, or of `osr ui`, outlives it, however it ends.

Some of Ray's and MLflow's processes stay when the one that started them is killed. A reaper is a
process of its own that notes the driver's descendants and holds the reading end of a pipe: when the
driver is gone, however it went, the pipe closes, and the reaper kills those that are left.
"""

import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import psutil

from sweeps.signals import ignore_notices

LOOK_EVERY_S = 0.5
ROUNDS, PAUSE_S = 20, 0.25  # a dying process may start one more before it is gone


class Reaper:
    """While entered, a reaper watches this process; afterwards nothing started here is left."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", "-m", "sweeps.launch.reaper", str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def descendants(process: psutil.Process) -> set[psutil.Process]:
    """All below a process, but for the reaper itself; none of one that is gone."""
    try:
        return {p for p in process.children(recursive=True) if p.pid != os.getpid()}
    except psutil.Error:
        return set()


def runs(process: psutil.Process) -> bool:
    """Whether a process is more than an entry that nobody has asked for."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def watch(driver: psutil.Process) -> set[psutil.Process]:
    """Note the driver's descendants until standard input closes."""
    known: set[psutil.Process] = set()
    while not select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
        known = {process for process in known if runs(process)} | descendants(driver)
    return known | descendants(driver)


def reap(left: set[psutil.Process]) -> None:
    """Kill processes and what they have started since, until none is left."""
    for _ in range(ROUNDS):
        left = {process for process in left if runs(process)}
        left |= {below for process in left for below in descendants(process)}
        if not left:
            return
        for process in left:
            try:
                process.kill()
            except psutil.Error:
                continue
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    ignore_notices()
    reap(watch(psutil.Process(int(sys.argv[1]))))
