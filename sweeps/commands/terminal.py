"""What a long command prints, to readers that may be gone before it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, TextIO, cast

from sweeps.commands.listing import say


class Lasting:
    """A stream whose reader may end, as `tee` does at Ctrl-C: what cannot be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it counts as written."""
        try:
            self._stream.write(text)
        except OSError:
            drop(self._stream)
        return len(text)

    def flush(self) -> None:
        """Write what is written so far."""
        try:
            self._stream.flush()
        except OSError:
            drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drop(stream: TextIO) -> None:
    """Let nobody read what a stream still holds, and all that is written to it from now on."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


def complain(text: str) -> None:
    """Say what is wrong, if anybody can hear it; the exit code says it anyhow."""
    try:
        say(f"error: {text}", err=True)
    except OSError:
        drop(sys.stderr)


def hold_closed_streams() -> None:
    """Let no file take the number of a stream that was closed (`osr run >&-`): whatever a library
    or another process prints would be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one


def print_whatever_the_encoding() -> None:
    """Let letters that a terminal's encoding lacks be printed as escapes and fail no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def lasting_output() -> Iterator[None]:
    """While a block runs, no print fails: a closed terminal, pipe or full disk ends no launch."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        cast(TextIO, Lasting(stream)) if stream is not None else stream for stream in before
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
