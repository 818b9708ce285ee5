"""When a run is to stop, and what a stage saves by then."""

import math
import signal
import time

from osr_core.batch.folder import ResultFolder
from osr_core.results.saved_state import SavedState

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
EVERY_S = 60.0  # between the states that a stage saves
MARGIN = 1.5  # an epoch may take that much longer than the one before


class OutOfTime(Exception):  # noqa: N818  (not an error: the state is saved)
    """A stage ends early, with all saved that it can go on from."""


class Ending:
    """The end of a run: its deadline, or a signal before that."""

    def __init__(self, minutes: float | None = None) -> None:
        self.deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
        self.signalled = False

    def watch(self) -> None:
        """From now on a signal means: save and stop. Ctrl-C after another one ends at once.

        What this process was started to ignore, as by nohup, it ignores.
        """

        def note(number: int, frame: object) -> None:
            self.signalled = True
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        for each in SIGNALS:
            if signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, note)

    def within(self, seconds: float) -> bool:
        """Whether the run is to stop before so much more time has passed."""
        return self.signalled or time.monotonic() + seconds >= self.deadline


class FolderCheckpoint:
    """What a stage keeps in a folder: every minute, and in time before the end of the run."""

    def __init__(self, folder: ResultFolder, stage_id: str, source: str, ending: Ending) -> None:
        self.folder, self.stage_id, self.ending = folder, stage_id, ending
        self.source = source  # of the code that began what is saved, not of that which goes on
        self.saved_at = self.asked_at = time.monotonic()
        self.last_s = self.longest_s = 0.0  # between two moments at which the stage can be saved

    def load(self) -> bytes | None:
        """The last state saved, if any."""
        saved = self.folder.state(self.stage_id)
        if saved is None:
            return None
        self.source = saved.source
        return saved.content

    def due(self) -> bool:
        """Whether it is time to save: the next moment may come too late."""
        now = time.monotonic()
        self.last_s, self.asked_at = now - self.asked_at, now
        self.longest_s = max(self.longest_s, self.last_s)
        return now - self.saved_at >= EVERY_S or self.ending.within(MARGIN * self.last_s)

    def save(self, content: bytes) -> None:
        """Replace the state; OutOfTime if that was the last thing to do."""
        self.folder.save_state(self.stage_id, SavedState(content, self.source))
        self.saved_at = time.monotonic()
        if self.ending.within(MARGIN * self.last_s):
            raise OutOfTime

    def between_batches(self) -> None:
        """End a stage that has no state to save, or no newer one."""
        if self.ending.within(0.0):
            raise OutOfTime
