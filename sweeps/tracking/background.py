"""Tracking in a thread of its own: MLflow slow, broken or away never holds up a stage.

Stages that have ended come first; every few seconds those that run show what they have told so far.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from osr_core.stage import Stage
from sweeps.planning.plan import Plan
from sweeps.store.files import StoreError
from sweeps.store.leases import FencedError
from sweeps.tracking.errors import reason_of
from sweeps.tracking.painter import AT_ONCE

if TYPE_CHECKING:
    from sweeps.tracking.tracker import Tracker

log = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
HURRY_S = 1.5
SHOW_EVERY_S = 5.0
GONE = "RESOURCE_DOES_NOT_EXIST"  # MLflow's word where what was there is there no more
PATIENCE_S = 10.0  # how long the end of a sweep waits for a tracking server that does not answer


class BackgroundTracking:
    """Sends what stages left to MLflow; what could not be sent is sent again later."""

    def __init__(self, make_tracker: Callable[[], "Tracker"]) -> None:
        """`make_tracker` finds the sweep's runs in MLflow."""
        self._make_tracker = make_tracker
        self._unsent: deque[Stage] = deque()
        self._plan: Plan | None = None  # what the plan has grown to, until the tracker knows it
        self._running: dict[str, Stage] = {}
        self._show_at = time.monotonic() + SHOW_EVERY_S  # when running stages are shown next
        self._news = threading.Event()  # a stage began or ended, or the end has come
        self._closing = threading.Event()
        self._status, self._hurry = "", False
        self._warned = False
        self._is_shaken = False  # whether the server has failed since all runs were looked at
        self._well_at = 0.0  # when MLflow took something last, or the end came
        self.problem: str | None = None  # why MLflow is not up to date at the end, if so
        self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
        self._thread.start()

    def started(self, stage: Stage) -> None:
        """An attempt at a stage begins; a run shows its epochs as they end."""
        self._running[stage.id] = stage
        self._news.set()

    def add(self, stage: Stage) -> None:
        """A stage ended; its run is written soon."""
        self._running.pop(stage.id, None)
        self._unsent.append(stage)
        self._news.set()

    def grow(self, plan: Plan) -> None:
        """The sweep's plan has more trials now."""
        self._plan = plan
        self._news.set()

    @property
    def num_unsent(self) -> int:
        """How many stages have ended of which MLflow does not know yet."""
        return len(self._unsent)

    def close(self, status: str, *, hurry: bool) -> None:
        """Write what is left, give the sweep's run its status, and wait for it; see `problem`.

        In a `hurry`, what the server does not take at once is left to the next launch.
        """
        self._status, self._hurry, self._well_at = status, hurry, time.monotonic()
        self._closing.set()
        self._news.set()
        self._thread.join(HURRY_S if hurry else None)
        if self._thread.is_alive():
            self.problem = "there was no time to write all of it"

    def _loop(self) -> None:
        tracker, wait = None, FIRST_WAIT_S
        while True:
            try:
                tracker = tracker or self._make_tracker()
                self._news.clear()
                self._grow(tracker)
                if self._closing.is_set():
                    self._end(tracker)
                    return
                while self._unsent and not self._closing.is_set():
                    self._grow(tracker)
                    self._send(tracker)
                self._show(tracker)
                wait = FIRST_WAIT_S
                self._news.wait(self._show_at - time.monotonic() if self._running else None)
            except FencedError as error:
                self.problem = str(error)  # the other driver tells MLflow
                return
            except Exception as error:  # whatever a server does, results are safe on the store
                if getattr(error, "error_code", "") == GONE:
                    tracker = None  # such as another database than before
                self._is_shaken |= not self._closing.is_set()
                self._warn(error)
                if self._gave_up():
                    self.problem = reason_of(error)
                    return
                self._pause(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)

    def _grow(self, tracker: "Tracker") -> None:
        """Let the tracker know the plan's new trials before any of their stages is sent."""
        plan, self._plan = self._plan, None  # first: it may grow once more meanwhile
        try:
            if plan is not None:
                tracker.extend(plan)
        except Exception:
            self._plan = self._plan or plan
            raise

    def _send(self, tracker: "Tracker") -> None:
        soon = range(1, min(1 + AT_ONCE, len(self._unsent)))
        tracker.write(self._unsent[0], [self._unsent[place] for place in soon])
        self._unsent.popleft()
        self._well_at = time.monotonic()

    def _show(self, tracker: "Tracker") -> None:
        """Not more often than every so many seconds, however many stages begin and end."""
        is_time = time.monotonic() >= self._show_at and not self._closing.is_set()
        if self._running and is_time:
            tracker.show([*self._running.values()])
            self._show_at = time.monotonic() + SHOW_EVERY_S

    def _end(self, tracker: "Tracker") -> None:
        """Send everything that MLflow lacks, also of earlier launches, and end the sweep's run."""
        if self._hurry:
            tracker.end(self._status)  # there may be no time for more
        elif self._is_shaken:
            tracker.look()  # a server that broke may have lost what it had
            self._is_shaken = False
        self._unsent = deque(tracker.behind())
        while self._unsent:
            self._send(tracker)
        tracker.close(self._status)
        self.problem = "; ".join(tracker.refused.values()) or None

    def _pause(self, seconds: float) -> None:
        """After a fault; the end of the sweep cuts it short, and has less patience."""
        if self._closing.is_set():
            time.sleep(min(seconds, PATIENCE_S / 3))
        else:
            self._closing.wait(seconds)

    def _warn(self, error: Exception) -> None:
        """Once, so that a wrong address is seen while there is time to mend it."""
        if not self._warned:
            who = "the store" if isinstance(error, StoreError) else "MLflow"
            log.warning("%s does not answer (%s); the sweep goes on", who, reason_of(error))
        self._warned = True

    def _gave_up(self) -> bool:
        """Whether the end of the sweep has waited long enough for a server that takes nothing."""
        return self._closing.is_set() and time.monotonic() - self._well_at > PATIENCE_S
