"""Draws the pictures of trials in processes of their own.

They take half a second of a core each, in which the driver would hand out no stage. A process ends
when its pipe to the driver closes, however that went.
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
AT_ONCE = 2  # trials, each drawn by a process of 200 MB; the second starts where one falls behind
NICENESS = 10  # on one machine stages come first
# the other end of the pipe, or this one, which the end of a launch closes
LOST = (EOFError, OSError, ValueError, pickle.UnpicklingError)
Process = subprocess.Popen[bytes]
Answer = Mapping[str, bytes] | str  # why not


class Painter:
    """Stands for the function that it is given; used as a context manager.

    The function is found by its name in the other processes, so it must be one of a module. There
    are as many of these as threads have called it at the same time.
    """

    def __init__(self, draw: Pictures) -> None:
        self._draw = draw
        self._processes: set[Process] = set()
        self._idle: list[Process] = []
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
        for process in [*self._processes]:
            self._end(process)

    def __call__(self, run: Mapping[str, Any], scores: bytes) -> Mapping[str, bytes]:
        """What the function gives.

        Raises:
            TrackingError: what it raises.
            SystemExit: the launch has ended, and nobody waits for this thread any more.
        """
        try:
            answer = self._ask(self._free(), run, scores)
        except LOST:  # someone has killed it, as is done with all of a driver's when Ray ends
            answer = self._ask(self._start(), run, scores)
        if isinstance(answer, str):
            raise TrackingError(answer)
        return answer

    def _ask(self, process: Process, run: Mapping[str, Any], scores: bytes) -> Answer:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((run, scores), process.stdin)
            process.stdin.flush()
            answer: Answer = pickle.load(process.stdout)
        except LOST:
            self._end(process)
            self._check_open()
            raise
        self._idle.append(process)
        return answer

    def _free(self) -> Process:
        try:
            return self._idle.pop()
        except IndexError:
            return self._start()

    def _start(self) -> Process:
        self._check_open()
        command = [sys.executable, "-P", "-m", "sweeps.tracking.painter"]
        pipe = subprocess.PIPE
        # in a session of its own, which hears no Ctrl-C
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        assert process.stdin is not None
        self._processes.add(process)
        if self._has_ended:  # meanwhile: `__exit__` did not see it
            self._end(process)
        self._check_open()
        with contextlib.suppress(*LOST):  # whoever asks it finds out
            pickle.dump(self._draw, process.stdin)
        return process

    def _check_open(self) -> None:
        """End this thread once the launch has ended: a run must not be finished without its
        pictures.
        """
        if self._has_ended:
            raise SystemExit

    def _end(self, process: Process) -> None:
        self._processes.discard(process)
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
                answer: Answer = draw(run, scores)
            except Exception as error:  # as in the driver: no pictures, which stops nothing
                answer = str(error) or type(error).__name__
            pickle.dump(answer, answers)
            answers.flush()
    os._exit(0)  # what is left in the pipe is for nobody


if __name__ == "__main__":
    paint()
