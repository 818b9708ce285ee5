"""Tracking in a thread of its own: MLflow slow, broken or away never holds up a stage."""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from osr_core.stage import Stage
from sweeps.store import FencedError

if TYPE_CHECKING:
    from sweeps.tracking import Tracker

log = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
HURRY_S = 1.5
PATIENCE_S = 10.0  # how long the end of a sweep waits for a tracking server that does not answer


class BackgroundTracking:
    """Sends what stages left to MLflow; what could not be sent is sent again later."""

    def __init__(self, make_tracker: Callable[[], "Tracker"]) -> None:
        """`make_tracker` finds the sweep's runs in MLflow; it is called again after each fault."""
        self._make_tracker = make_tracker
        self._queue: queue.SimpleQueue[Stage | None] = queue.SimpleQueue()
        self._unsent: list[Stage] = []
        self._status = ""
        self._closing_at: float | None = None
        self._warned = False
        self._well_at = 0.0  # when MLflow took something last
        self.problem: str | None = None  # why MLflow is not up to date at the end, if so
        self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
        self._thread.start()

    def add(self, stage: Stage) -> None:
        """A stage ended; its run is written soon."""
        self._queue.put(stage)

    def close(self, status: str, *, hurry: bool) -> None:
        """Write what is left, give the sweep's run its status, and wait for it; see `problem`.

        In a `hurry`, what the server does not take at once is left to the next launch.
        """
        self._status, self._closing_at = status, time.monotonic()
        self._queue.put(None)
        self._thread.join(HURRY_S if hurry else None)
        if self._thread.is_alive():
            self.problem = "there was no time to write all of it"

    def _loop(self) -> None:
        tracker, wait = None, FIRST_WAIT_S
        while True:
            try:
                tracker = tracker or self._make_tracker()
                self._send(tracker)
                if self._closing_at is not None and self._queue.empty():
                    tracker.close(self._status)
                    self.problem = "; ".join(tracker.refused.values()) or None
                    return
                self._take(timeout=None)
                wait = FIRST_WAIT_S
            except FencedError as error:
                self.problem = str(error)  # the other driver tells MLflow
                return
            except Exception as error:  # whatever a server does, results are safe on the store
                tracker = None  # what it knew of the server may be wrong: look again
                self._warn(error)
                if self._gave_up():
                    self.problem = reason_of(error)
                    return
                self._take(timeout=wait)
                wait = min(2 * wait, LONGEST_WAIT_S, PATIENCE_S / 3 if self._closing_at else 60)

    def _send(self, tracker: "Tracker") -> None:
        while self._unsent:
            tracker.record(self._unsent[0])
            self._unsent.pop(0)
            self._well_at = time.monotonic()

    def _take(self, timeout: float | None) -> None:
        """Wait for a stage, or for the time to pass; None wakes the loop to close."""
        try:
            stage = self._queue.get(timeout=timeout)
        except queue.Empty:
            return
        if stage is not None:
            self._unsent.append(stage)

    def _warn(self, error: Exception) -> None:
        """Once, so that a wrong address is seen while there is time to mend it."""
        if not self._warned:
            log.warning("MLflow does not answer (%s); the sweep goes on", reason_of(error))
        self._warned = True

    def _gave_up(self) -> bool:
        if self._closing_at is None:
            return False
        return time.monotonic() - max(self._closing_at, self._well_at) > PATIENCE_S


def reason_of(error: Exception) -> str:
    """One line; of the many that a network library says, the system's own."""
    text = str(error).strip() or type(error).__name__
    found = re.search(r"\[Errno \d+\] [\w ]+", text)
    return found[0] if found else text.splitlines()[0]
