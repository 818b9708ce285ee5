"""Signals that announce an end, and which processes hear them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# A terminal that closes, and Slurm's notice before it takes a machine away, go to a whole group of
# processes; what this one has started must not die of them before it has saved.
NOTICES = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def unheard_below() -> Iterator[None]:
    """Processes that are started while this block runs never hear a notice; this one does later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_notices() -> None:
    """This process goes on until the one that started it ends it."""
    for number in NOTICES:
        signal.signal(number, signal.SIG_IGN)
