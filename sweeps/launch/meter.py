"""What a launch has spent so far of what its spec allows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sweeps.planning.resources import Budget


@dataclass
class Meter:
    """Counts attempts at stages, also those that came to nothing: they cost as much."""

    budget: Budget
    clock: Callable[[], float] = time.monotonic  # seconds
    trials: int = 0  # that have got their result
    _gpu_s: float = 0.0  # of attempts that have ended
    _running: dict[str, tuple[float, float]] = field(default_factory=dict)  # since when, GPUs
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def began(self, stage_id: str, gpus: float) -> None:
        """An attempt has its machine."""
        self._running[stage_id] = self.clock(), gpus

    def ended(self, stage_id: str) -> None:
        """An attempt has given it back."""
        since, gpus = self._running.pop(stage_id, (0.0, 0.0))
        self._gpu_s += gpus * (self.clock() - since)

    @property
    def gpu_hours(self) -> float:
        """Of all attempts, those that run included."""
        now = self.clock()
        running = sum(gpus * (now - since) for since, gpus in self._running.values())
        return (self._gpu_s + running) / 3600

    @property
    def wall_hours(self) -> float:
        """Since the launch began."""
        return (self.clock() - self._since) / 3600

    def why_spent(self) -> str | None:
        """What of the budget is spent, if any of it is: "2.01 of 2 GPU hours"."""
        for name, spent in (
            ("gpu_hours", self.gpu_hours),
            ("wall_hours", self.wall_hours),
            ("trials", self.trials),
        ):
            allowed = getattr(self.budget, name)
            if allowed is not None and spent >= allowed:
                words = name.replace("gpu", "GPU").replace("wall_", "").replace("_", " ")
                return f"{spent:.4g} of {allowed:g} {words}"
        return None
