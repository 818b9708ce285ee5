"""Signals that announce an end, as a batch run hears them."""

import signal
from collections.abc import Iterator

import pytest

from osr_core.batch.ending import SIGNALS, Ending


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The test's own process hears signals as it did."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_a_notice_and_what_follows_it_leave_time_to_save() -> None:
    """Slurm sends SIGUSR1 and later SIGTERM; a terminal that closes SIGHUP and SIGTERM."""
    ending = Ending()
    ending.watch()
    assert not ending.within(1e9)
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
        signal.raise_signal(number)
    assert ending.within(0.0)


def test_ctrl_c_after_a_signal_ends_at_once() -> None:
    """Whoever types it twice does not want to wait for the epoch."""
    ending = Ending()
    ending.watch()
    signal.raise_signal(signal.SIGINT)
    assert ending.signalled
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_what_a_process_was_started_to_ignore_it_ignores() -> None:
    """With nohup a terminal may close."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ending = Ending()
    ending.watch()
    signal.raise_signal(signal.SIGHUP)
    assert not ending.signalled


def test_a_deadline_comes_before_what_would_end_after_it() -> None:
    """Ten minutes from now there is time for a minute, and not for eleven."""
    ending = Ending(minutes=10.0)
    assert not ending.within(60.0)
    assert ending.within(660.0)
