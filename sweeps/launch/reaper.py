"""Sees to it that nothing of a driver, or of `osr ui`, outlives it, however it ends.

Some of Ray's and MLflow's processes stay when the one that started them is killed. A reaper is a
process of its own that notes the driver's descendants and holds the reading end of a pipe: when the
driver is gone, however it went, the pipe closes, and the reaper kills those that are left. What
began since it looked last, and lost its parent at once, it knows by a mark in the environment; that
alone is not enough, since Ray's workers overwrite theirs once they are up.
"""

import os
import select
import subprocess
import sys
import time
import uuid
from types import TracebackType
from typing import Self

import psutil

from sweeps.signals import ignore_notices

MARK = "OSR_REAPER"  # in the environment of all that is started while a reaper watches
LOOK_EVERY_S = 0.5
ROUNDS, PAUSE_S = 20, 0.25  # a dying process may start one more before it is gone


class Reaper:
    """While entered, a reaper watches this process; afterwards nothing started here is left."""

    def __enter__(self) -> Self:
        mark = uuid.uuid4().hex
        command = [sys.executable, "-P", "-m", "sweeps.launch.reaper", str(os.getpid()), mark]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        os.environ[MARK] = mark
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.environ.pop(MARK, None)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def descendants(process: psutil.Process) -> set[psutil.Process]:
    """All below a process, but for the reaper itself; none of one that is gone."""
    try:
        return {p for p in process.children(recursive=True) if p.pid != os.getpid()}
    except psutil.Error:
        return set()


def marked(mark: str) -> set[psutil.Process]:
    """All processes of this user that a marked one has started."""
    found = psutil.process_iter(["environ"], ad_value={})
    return {process for process in found if process.info["environ"].get(MARK) == mark}


def runs(process: psutil.Process) -> bool:
    """Whether a process is more than an entry that nobody has asked for."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def watch(pid: int) -> set[psutil.Process]:
    """Note the driver's descendants until standard input closes; none of one that is gone already,
    whose number may be another's by now.
    """
    known: set[psutil.Process] = set()
    try:
        driver = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return known
    if os.getppid() != pid:
        return known
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
    pid, mark = sys.argv[1:]
    reap(watch(int(pid)) | marked(mark))
