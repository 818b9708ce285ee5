"""What a launch is told of its stages while they are handed out, run and end."""

from typing import Protocol

from osr_core.stage import Stage
from sweeps.running.outcome import Outcome


class Watcher(Protocol):
    """All calls come from the thread that runs Tune.

    Raises:
        OsrError: the launch cannot go on; what runs may end.
    """

    def name(self, stage: Stage) -> str:
        """What people call a stage."""
        ...

    def may_run(self, stage: Stage) -> bool:
        """Whether a stage is to be handed out now; otherwise it is asked for again later."""
        ...

    def handed_out(self, stage: Stage) -> None:
        """A stage waits for its machine."""
        ...

    def began(self, stage: Stage) -> None:
        """A stage has its machine."""
        ...

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing; there will be another."""
        ...

    def ended(self, outcome: Outcome, skipped: list[str]) -> None:
        """A stage is done, stopped or given up, and with it those `skipped`, by id."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether stages may be added yet by what has ended: nothing is at its end before."""
        ...

    def waiting(self, text: str) -> None:
        """No machine has what a stage asks for, or one has come."""
        ...

    def look(self) -> None:
        """About once a second: the time to read what others want of this launch."""
        ...
