"""How often a stage is tried again, by what went wrong."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from sweeps.running.outcome import Cause

RETRIES = {
    Cause.REFUSED: 0,
    Cause.CANCELLED: 0,
    Cause.HELD: 0,
    Cause.ERROR: 2,
    Cause.UNREACHABLE: 5,  # each has asked the store for a minute
    Cause.OUT_OF_MEMORY: 1,
    Cause.CROWDED: 1,  # then it is as above
    Cause.WORKER_DIED: 3,
    Cause.CLAIMED: 1_000_000,  # as often as it takes
    Cause.PAUSED: 1_000_000,
    Cause.GPU_CAME: 1_000_000,
    Cause.YIELDED: 1_000_000,
    Cause.LACKS_DATA: 1_000_000,  # the launch ends once no machine is left
    Cause.NODE_LOST: 100,  # not the stage's fault, but not without end either
    Cause.PREEMPTED: 100,
}
AT_ONCE = (
    *(Cause.NODE_LOST, Cause.PREEMPTED, Cause.PAUSED, Cause.GPU_CAME),
    *(Cause.YIELDED, Cause.LACKS_DATA),
)
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
CLAIMED_DELAY_S = 3.0  # until what another sweep trains is looked at again


@dataclass
class Retries:
    """Attempts that failed so far in this launch, by stage and cause."""

    failed: Counter[tuple[str, Cause]] = field(default_factory=Counter)

    def delay(self, stage_id: str, cause: Cause) -> float | None:
        """Count a failed attempt; seconds to wait before the next, or None to give up."""
        self.failed[stage_id, cause] += 1
        count = self.failed[stage_id, cause]
        if count > RETRIES[cause]:
            return None
        if cause in AT_ONCE:
            return 0.0
        if cause == Cause.CLAIMED:
            return CLAIMED_DELAY_S
        return float(min(FIRST_DELAY_S * 2 ** (count - 1), LONGEST_DELAY_S))

    def forget(self, stage_ids: Collection[str]) -> None:
        """Stages begin anew: none of their attempts counts any more."""
        for key in [key for key in self.failed if key[0] in stage_ids]:
            del self.failed[key]
