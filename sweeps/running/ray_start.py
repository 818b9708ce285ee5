"""How Ray starts on this machine, where it would do so otherwise than a user needs."""

import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ray._private import services

from sweeps.environment import START_S


@contextmanager
def in_own_folder() -> Iterator[None]:
    """Work in the folder that holds these packages while a block runs.

    Ray puts the driver's working folder before all others on which its workers look for modules:
    the user's `sweeps.py`, or `numpy.py`, would be imported there in place of ours.
    """
    with chdir(Path(__file__).parents[2]):
        yield


@contextmanager
def apart() -> Iterator[None]:
    """Ray's daemons that are started while a block runs hear no signal to the driver's group, such
    as that of `timeout` or a service manager: all would be lost before it is saved.
    """
    started = services.ConsolePopen
    services.ConsolePopen = partial(started, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = started


@contextmanager
def patient() -> Iterator[None]:
    """A node that is started while a block runs has START_S to report to its cluster's head.

    Ray gives up after 30 s, which are too few on a machine that much else runs on. It raises
    what the last look raised.
    """
    look = services.get_node

    def wait_for(*which: Any) -> Any:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                return look(*which)
            except RuntimeError:  # not there yet
                time.sleep(0.1)
        return look(*which)

    services.get_node = wait_for
    try:
        yield
    finally:
        services.get_node = look
