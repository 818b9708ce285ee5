"""Orders to a running sweep: beside each lease a place into which its driver and workers look.

    orders/NAME/7/stop           the sweep ends: workers save, and nothing more is handed out
    orders/NAME/7/stop-3f9a...   this stage ends: it is given up as cancelled
    orders/NAME/7/budget         the sweep has spent what it may, and ends as if it was stopped

Seven is the number of the lease: no order outlives the driver that it was given to.
"""

from dataclasses import dataclass

from sweeps.store.files import Files
from sweeps.store.leases import Fence

STOP, STOP_STAGE, BUDGET = "stop", "stop-", "budget"


@dataclass(frozen=True)
class Given:
    """What one driver and its workers were ordered so far."""

    stop: bool = False
    budget_spent: bool = False
    stages: frozenset[str] = frozenset()  # ids of those to be given up

    @property
    def ends_sweep(self) -> bool:
        """Whether nothing of the sweep is to go on."""
        return self.stop or self.budget_spent


class Orders:
    """Gives and reads orders; every method may be called by many processes at once."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def stop(self, fence: Fence) -> None:
        """Let the sweep end in order, as Ctrl-C at its driver does."""
        self._give(fence, STOP)

    def stop_stage(self, fence: Fence, stage_id: str) -> None:
        """Let one stage be given up, and the sweep go on without it and what needs it."""
        self._give(fence, f"{STOP_STAGE}{stage_id}")

    def end_budget(self, fence: Fence) -> None:
        """Let the sweep end in order, since it has spent what it may."""
        self._give(fence, BUDGET)

    def read(self, fence: Fence) -> Given:
        """What was ordered so far; one request."""
        found = self._files.names(_folder(fence), "")
        names = {name.rpartition("/")[2] for name in found}
        stages = [name.removeprefix(STOP_STAGE) for name in names if name.startswith(STOP_STAGE)]
        return Given(STOP in names, BUDGET in names, frozenset(stages))

    def _give(self, fence: Fence, order: str) -> None:
        self._files.write(f"{_folder(fence)}/{order}", b"")


def _folder(fence: Fence) -> str:
    return f"orders/{fence.sweep}/{fence.number}"
