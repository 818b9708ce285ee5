"""A launch hears whoever asks it to stop, and stops whether or not anybody reads what it says."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import typer
from rich.console import Console

from sweeps.commands.terminal import lasting_output
from sweeps.launch import shutdown
from sweeps.launch.conduct import Conduct
from sweeps.launch.shutdown import AtOnce, Shutdown
from sweeps.signals import NOTICES
from tests.sweeps.launch.test_launch import conduct, nothing_left

__all__ = ["conduct"]  # the fixture
NAMES = [number.name for number in NOTICES]


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """A stream into a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


@pytest.mark.parametrize("number", NOTICES, ids=NAMES)
def test_a_notice_asks_for_an_orderly_end(number: signal.Signals):
    """It comes twice where a terminal closes: from its shell and from the kernel."""
    asked: list[int] = []
    before = signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup
    try:
        with Shutdown(lambda: asked.append(1)):
            signal.raise_signal(number)
            signal.raise_signal(number)
        signal.raise_signal(number)  # the end itself is not ended either
        assert asked == [1]
    finally:
        signal.signal(number, before)


def test_a_notice_long_before_the_end_lets_epochs_end(monkeypatch: pytest.MonkeyPatch):
    """Slurm sends SIGTERM when the time is over; until then long epochs may be saved."""
    monkeypatch.setattr(shutdown, "GRACE_S", 0.01)
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with Shutdown(lambda: None):
            signal.raise_signal(signal.SIGUSR1)
            time.sleep(0.05)
            with pytest.raises(AtOnce):
                signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_launch_under_nohup_outlives_its_terminal():
    """Who starts it so has said that a closed terminal shall not stop it."""
    asked: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Shutdown(lambda: asked.append(1)):
            signal.raise_signal(signal.SIGHUP)
        assert asked == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_comes_before_the_word_about_it(conduct: Conduct, unread: TextIO):
    """Ctrl-C ends `tee` first, and what is printed then reaches nobody."""
    conduct.launch.console = Console(file=unread)
    conduct.begin(searcher := nothing_left(conduct))
    with Shutdown(conduct.stop), pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGINT)
    assert (searcher.stopping, conduct.launch.stopped) == (True, True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), unread.fileno())


def test_no_print_ends_a_command_that_goes_on_for_long(
    unread: TextIO, monkeypatch: pytest.MonkeyPatch
):
    """By rich, by typer and at the end; what nobody reads is dropped."""
    monkeypatch.setattr(sys, "stdout", unread)
    with lasting_output():
        Console().print("[1/9] a stage has ended")
        typer.echo("a table")
        sys.stdout.write("what is still in the buffer")
    unread.flush()


def test_a_full_disk_ends_no_launch(monkeypatch: pytest.MonkeyPatch):
    """Its log is full, its results may lie elsewhere."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with lasting_output():
            typer.echo("a line")


def test_what_can_be_read_is_written_whole(capfd: pytest.CaptureFixture[str]):
    """In its order, on both streams."""
    with lasting_output():
        typer.echo("one")
        Console().print("two")
        typer.echo("three", err=True)
    assert capfd.readouterr() == ("one\ntwo\n", "three\n")
