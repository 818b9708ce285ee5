"""What a running stage keeps in the store, and how it learns that it is to stop."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from osr_core.results.saved_state import SavedState
from sweeps.running.outcome import Cause, Stopped
from sweeps.running.workplace import Workplace
from sweeps.store.files import StoreError, UnreachableError
from sweeps.store.orders import Given
from sweeps.store.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0  # at orders, by a stage of many batches


class Terminations:
    """Notices SIGTERM, which machines that will be taken away send in advance.

    It ends one attempt: this one, or the next if it came between two.
    """

    received = False

    @classmethod
    def watch(cls) -> None:
        """From now on SIGTERM means: save at the end of the epoch."""

        def note(number: int, frame: object) -> None:
            cls.received = True

        signal.signal(signal.SIGTERM, note)


class StoreCheckpoint:
    """A fit's checkpoint in the store: every so many seconds, when asked to stop, and at the end of
    its training.

    A stage that has no state to save is asked between its batches, and so is a fit that has done
    its last epoch. A store that did not answer is left alone for as long as the stage has waited
    for it, so that half of the time is work.
    """

    def __init__(self, store: Store, stage_id: str, workplace: Workplace, source: str) -> None:
        self.store, self.stage_id, self.workplace = store, stage_id, workplace
        self.source = source  # of the code that began what is saved, not of that which goes on
        self.saved_at = self.looked_at = time.monotonic()
        self.silent_until = 0.0  # what the store says cannot be known before then

    def load(self) -> bytes | None:
        """The last state saved, if any."""
        saved = self.store.attempts.load_checkpoint(self.stage_id)
        if saved is None:
            return None
        self.source = saved.source
        return saved.content

    def due(self) -> bool:
        """Whether it is time to save."""
        if self._is_silent():
            return Terminations.received
        waited = time.monotonic() - self.saved_at
        return waited >= self.workplace.checkpoint_every_s or self._stop() is not None

    def save(self, content: bytes) -> None:
        """Replace the state; Stopped if that was the last thing to do.

        A fit outlives a store that does not answer, and saves when it is time the next time.
        """
        try:
            with self._asking():
                self.store.leases.check(self.workplace.fence)
                self.store.attempts.save_checkpoint(self.stage_id, SavedState(content, self.source))
        except UnreachableError as error:
            log.warning("the state is not saved now: %s", error)
        self.saved_at = time.monotonic()
        self.stop_if_asked()

    def between_batches(self) -> None:
        """End the attempt if someone has asked for it; orders are looked at once a second."""
        if time.monotonic() >= self.looked_at + LOOK_EVERY_S:
            self.looked_at = time.monotonic()
            self.stop_if_asked()

    def stop_if_asked(self, begins: str | None = None) -> None:
        """End the attempt, with nothing left to save, if someone has asked for it; also where none
        of the method that it `begins` is to begin.
        """
        cause = self._stop(begins)
        if cause == Cause.PREEMPTED:
            Terminations.received = False
        if cause is not None:
            raise Stopped(cause)

    def _stop(self, begins: str | None = None) -> Cause | None:
        if Terminations.received:
            return Cause.PREEMPTED
        if self.workplace.fence is None or self._is_silent():
            return None
        given = Given()
        with suppress(StoreError), self._asking():  # what cannot be read now is read later
            given = self.store.orders.read(self.workplace.fence)
        if given.ends_sweep:
            return Cause.INTERRUPTED
        if self.stage_id in given.cancelled:
            return Cause.CANCELLED
        if begins in given.held:
            return Cause.HELD
        if begins is not None and self.stage_id in given.yielded:
            return Cause.YIELDED
        return Cause.PAUSED if given.paused else None

    def _is_silent(self) -> bool:
        return time.monotonic() < self.silent_until

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Notes for how long a store that does not answer was waited for."""
        began = time.monotonic()
        try:
            yield
        except UnreachableError:
            self.silent_until = 2 * time.monotonic() - began
            raise
