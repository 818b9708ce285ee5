"""Draws the pictures of trials in a process of its own.

They take half a second each, in which the driver would hand out no stage. The process ends when the
pipe to the driver closes, however that went.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from sweeps.signals import ignore_notices
from sweeps.tracking.errors import TrackingError

Pictures = Callable[[Mapping[str, Any], bytes], Mapping[str, bytes]]
"""A run's facts and metrics, and its scores or images that were made -> PNG by file name."""
PICTURED = {"scores.parquet", "generated.parquet", "reconstructed.parquet"}
NICENESS = 10  # on one machine stages come first
LOST = (EOFError, OSError, pickle.UnpicklingError)  # the other end of the pipe


class Painter:
    """Stands for the function that it is given; used as a context manager.

    The function is found by its name in the other process, so it must be one of a module.
    """

    def __init__(self, draw: Pictures) -> None:
        self._draw = draw
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_ended = True
        self._end()

    def __call__(self, run: Mapping[str, Any], scores: bytes) -> Mapping[str, bytes]:
        """What the function gives.

        Raises:
            TrackingError: what it raises.
            SystemExit: the launch has ended, and nobody waits for this thread any more.
        """
        try:
            answer = self._ask(run, scores)
        except LOST:  # someone has killed it, as is done with all of a driver's when Ray ends
            self._end()
            answer = self._ask(run, scores)
        if isinstance(answer, str):
            raise TrackingError(answer)
        return answer

    def _ask(self, run: Mapping[str, Any], scores: bytes) -> Mapping[str, bytes] | str:
        if self._has_ended:
            raise SystemExit  # ends the thread; a run must not be finished without its pictures
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump((run, scores), process.stdin)
        process.stdin.flush()
        answer: Mapping[str, bytes] | str = pickle.load(process.stdout)
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "sweeps.tracking.painter"]
        pipe = subprocess.PIPE
        # in a session of its own, which hears no Ctrl-C
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        assert process.stdin is not None
        self._process = process
        pickle.dump(self._draw, process.stdin)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with contextlib.suppress(OSError), process:  # closes its pipes
            process.wait()


def paint() -> None:
    """Answer on standard output what comes on standard input, until that closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    os.nice(NICENESS)
    ignore_notices()
    with contextlib.suppress(EOFError, BrokenPipeError):
        draw: Pictures = pickle.load(sys.stdin.buffer)
        while True:
            run, scores = pickle.load(sys.stdin.buffer)
            try:
                answer: Mapping[str, bytes] | str = draw(run, scores)
            except Exception as error:  # as in the driver: no pictures, which stops nothing
                answer = str(error) or type(error).__name__
            pickle.dump(answer, answers)
            answers.flush()
    os._exit(0)  # what is left in the pipe is for nobody


if __name__ == "__main__":
    paint()
