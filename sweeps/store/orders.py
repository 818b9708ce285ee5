"""Orders to a sweep: a place into which its driver and its workers look.

    orders/NAME/7/stop           the sweep ends: workers save, and nothing more is handed out
    orders/NAME/7/budget         the sweep has spent what it may, and ends as if it was stopped
    orders/NAME/7/retry-3f9a...  this stage, which was given up, is handed out once more
    orders/NAME/7/yield-3f9a...  this stage, if it has not begun, is left for later
    orders/NAME/7/hold-cac       no stage of this method begins; says why
    orders/NAME/cancel-3f9a...   this stage is given up
    orders/NAME/pause            nothing is handed out; what runs is saved and ends for now

Seven is the number of a lease: what was ordered of one driver does not outlive it. The last two
stand until they are taken back, whoever drives the sweep.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sweeps.store.files import Files
from sweeps.store.leases import Fence

STOP, BUDGET, RETRY, YIELD, HOLD = "stop", "budget", "retry-", "yield-", "hold-"
CANCEL, PAUSE = "cancel-", "pause"


@dataclass(frozen=True)
class Given:
    """What one driver and its workers were ordered so far."""

    stop: bool = False
    budget_spent: bool = False
    paused: bool = False
    cancelled: frozenset[str] = frozenset()  # ids of stages to be given up
    retried: frozenset[str] = frozenset()  # ids of stages to be handed out once more
    yielded: frozenset[str] = frozenset()  # ids of stages that do not begin for now
    held: frozenset[str] = frozenset()  # names of methods of which nothing begins

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
        self._give(_of(fence), STOP)

    def end_budget(self, fence: Fence) -> None:
        """Let the sweep end in order, since it has spent what it may."""
        self._give(_of(fence), BUDGET)

    def cancel(self, sweep: str, ids: Iterable[str]) -> None:
        """Let stages be given up, and the sweep go on without them and what needs them."""
        for stage_id in ids:
            self._give(_all(sweep), f"{CANCEL}{stage_id}")

    def allow(self, sweep: str, ids: Iterable[str]) -> None:
        """Take cancellations back."""
        if names := [f"{_all(sweep)}/{CANCEL}{stage_id}" for stage_id in ids]:
            self._files.delete(*names)

    def retry(self, fence: Fence, ids: Iterable[str]) -> None:
        """Let a driver hand out stages once more that were given up."""
        for stage_id in ids:
            self._give(_of(fence), f"{RETRY}{stage_id}")

    def heeded(self, fence: Fence, ids: Iterable[str]) -> None:
        """A driver has done so."""
        if names := [f"{_of(fence)}/{RETRY}{stage_id}" for stage_id in ids]:
            self._files.delete(*names)

    def leave(self, fence: Fence, ids: Iterable[str]) -> None:
        """Let stages that are queued leave their place to another sweep's; drivers order this."""
        for stage_id in ids:
            self._give(_of(fence), f"{YIELD}{stage_id}")

    def take_back(self, fence: Fence, ids: Iterable[str]) -> None:
        """Let such stages begin after all."""
        if names := [f"{_of(fence)}/{YIELD}{stage_id}" for stage_id in ids]:
            self._files.delete(*names)

    def hold(self, fence: Fence, method: str, why: str) -> None:
        """Let nothing of a method begin; drivers themselves order this."""
        self._give(_of(fence), f"{HOLD}{method}", why)

    def why_held(self, fence: Fence, method: str) -> str:
        """Why nothing of a method begins; empty if it does."""
        return (self._files.read(f"{_of(fence)}/{HOLD}{method}") or b"").decode()

    def release(self, fence: Fence, methods: Iterable[str]) -> None:
        """Let stages of methods begin again."""
        if names := [f"{_of(fence)}/{HOLD}{method}" for method in methods]:
            self._files.delete(*names)

    def pause(self, sweep: str) -> None:
        """Let nothing be handed out until `resume`, and what runs be saved."""
        self._give(_all(sweep), PAUSE)

    def resume(self, sweep: str) -> None:
        """Let a paused sweep go on."""
        self._files.delete(f"{_all(sweep)}/{PAUSE}")

    def read(self, fence: Fence) -> Given:
        """What was ordered so far; one request."""
        found = self._files.names(_all(fence.sweep), "")
        of_driver, of_all = (_names(found, folder) for folder in (_of(fence), _all(fence.sweep)))
        return Given(
            stop=STOP in of_driver,
            budget_spent=BUDGET in of_driver,
            paused=PAUSE in of_all,
            cancelled=_after(of_all, CANCEL),
            retried=_after(of_driver, RETRY),
            yielded=_after(of_driver, YIELD),
            held=_after(of_driver, HOLD),
        )

    def _give(self, folder: str, order: str, why: str = "") -> None:
        self._files.write(f"{folder}/{order}", why.encode())


def _all(sweep: str) -> str:
    return f"orders/{sweep}"


def _of(fence: Fence) -> str:
    return f"{_all(fence.sweep)}/{fence.number}"


def _names(found: Iterable[str], folder: str) -> set[str]:
    """Of the files found, what those in just this folder are called."""
    return {name for path in found for at, _, name in [path.rpartition("/")] if at == folder}


def _after(names: Iterable[str], order: str) -> frozenset[str]:
    return frozenset(name.removeprefix(order) for name in names if name.startswith(order))
