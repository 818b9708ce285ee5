"""What a stage tells while it runs: a log for people and, of a fit, its numbers so far.

Both lie in the store (`sweeps.store.attempts`). A thread writes them, so that a slow store holds up
no epoch, and at most once a second. What cannot be written is not told, and fails no stage.
"""

import logging
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TextIO

from sweeps.running.outcome import Stopped
from sweeps.store.attempts import Attempts
from sweeps.store.leases import FencedError

EVERY_S = 1.0
MOST_WARNINGS = 1000  # of one attempt
LONGEST = 1_000_000  # letters that are kept of earlier attempts


class StageLog:
    """Of one attempt; used as a context manager around all of it but its commit."""

    def __init__(
        self,
        attempts: Attempts,
        stage_id: str,
        num_epochs: int | None,
        *,
        started_at: float,
        host: str,
    ) -> None:
        """`num_epochs` is None for a stage that has no epochs; `started_at` in s since 1970."""
        self.attempts, self.stage_id, self.num_epochs = attempts, stage_id, num_epochs
        self.started_at, self.host = started_at, host
        self.rows: list[dict[str, Any]] = []  # {"epoch", "at": s since 1970, name: value}
        self._has_reported = False  # until then rows are those of earlier attempts, if there were
        self._earlier = ""  # the log of earlier attempts
        self._lines: list[str] = []
        self._news, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name="log", daemon=True)
        self._hearing = ExitStack()

    @property
    def epochs_at(self) -> list[float | None]:
        """When each epoch ended, the first one first; None where no note of it is left."""
        times = {row["epoch"]: row["at"] for row in self.rows}
        return [times.get(epoch) for epoch in range(1, (self.num_epochs or 0) + 1)]

    def report(self, epoch: int, row: Mapping[str, float]) -> None:
        """An epoch, counted from 1, has ended; a resumed fit repeats those it has not saved."""
        while self.rows and self.rows[-1]["epoch"] >= epoch:
            self.rows.pop()
        self.rows.append({"epoch": epoch, "at": time.time(), **row})
        self._has_reported = True
        self.tell(epoch_line(epoch, self.num_epochs, row))

    def tell(self, line: str) -> None:
        """Add to the log."""
        self._lines.append(line)
        self._news.set()

    def __enter__(self) -> Self:
        with suppress(Exception):  # as for writing
            self._earlier = (self.attempts.log(self.stage_id) or "")[-LONGEST:]
        if self.num_epochs is not None:
            with suppress(Exception):
                self.rows = (self.attempts.progress_of(self.stage_id) or {}).get("rows", [])
        self._began = time.monotonic()
        at = datetime.fromtimestamp(self.started_at, UTC)
        self._lines.append(f"attempt began {at:%Y-%m-%d %H:%M:%S} UTC on {self.host}")
        self._hearing.enter_context(heard(self.tell))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hearing.close()
        self._ended.set()
        self._news.set()
        self._thread.join()
        if isinstance(error, FencedError):
            return  # what is told now is told by the workers of another driver
        if error is None:
            self._lines.append(f"done wall_s={time.monotonic() - self._began:.1f}")
        elif isinstance(error, Stopped):
            self._lines.append(f"stopped: {error.cause}")
        else:
            self._lines += "".join(traceback.format_exception(error)).splitlines()
        self._save_log()
        if error is not None:  # the marker of a stage that is done tells its epochs
            self._save_progress()

    def _loop(self) -> None:
        self._news.wait(EVERY_S)  # of a shorter stage without epochs all is told at its end
        while not self._ended.is_set():
            self._news.clear()
            self._save_log()
            self._save_progress()
            if self._ended.wait(EVERY_S):
                return
            self._news.wait()

    def _save_log(self) -> None:
        with suppress(Exception):  # whatever a disk or a server does
            text = "\n".join([*self._lines, ""])
            self.attempts.save_log(self.stage_id, self._earlier + text)

    def _save_progress(self) -> None:
        if self.num_epochs is None or (self.rows and not self._has_reported):
            return  # how much of earlier attempts counts is known with the first epoch
        with suppress(Exception):
            rows = list(self.rows)
            self.attempts.save_progress(
                self.stage_id, self.num_epochs, self.started_at, rows, host=self.host
            )


def epoch_line(epoch: int, num_epochs: int | None, row: Mapping[str, float]) -> str:
    """For people: "epoch=12/100 tuplet=0.412 anchor=0.031 val_accuracy=0.947 wall_s=8.1"."""
    words = [f"epoch={epoch}/{num_epochs}"]
    for name, value in row.items():
        digits = f"{value:.1f}" if name == "wall_s" else f"{value:.4g}"
        words.append(f"{name.removeprefix('train/').replace('/', '_')}={digits}")
    return " ".join(words)


class Handler(logging.Handler):
    """Hands what is logged, as text, to a function."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(self.format(record))


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Hands on Python's warnings and what is logged as a warning or worse while a block runs."""
    told = 0

    def tell_some(line: str) -> None:
        nonlocal told
        told += 1
        if told <= MOST_WARNINGS:
            tell(line)
        elif told == MOST_WARNINGS + 1:
            tell("more warnings are left out")

    handler, logger = Handler(tell_some), logging.getLogger()
    with warnings.catch_warnings():  # a warning that an earlier stage has shown is shown again
        show = warnings.showwarning

        def show_and_tell(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            tell_some(f"{category.__name__}: {message} ({filename}:{lineno})")
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = show_and_tell
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
