"""How often a stage is tried again, by what went wrong."""

from collections import Counter
from dataclasses import dataclass, field

# What ended an attempt. The value is what users read.
REFUSED = "refused"  # the stage said no (bad data, a loss that is lost): it would say so again
ERROR = "error"  # anything else that the stage raised
OUT_OF_MEMORY = "CUDA out of memory"
WORKER_DIED = "worker process died"
NODE_LOST = "node lost"
PREEMPTED = "preempted"  # SIGTERM: the state was saved
INTERRUPTED = "interrupted"  # the driver asked its workers to stop
TAKEN_OVER = "taken over"  # another driver runs the sweep now
UNFIT = "unfit machine"  # it has other code than the driver, or does not see its store
OF_LAUNCH = (INTERRUPTED, TAKEN_OVER, UNFIT)  # these end the launch; the stage is as it was

RETRIES = {
    REFUSED: 0,
    ERROR: 2,
    OUT_OF_MEMORY: 1,
    WORKER_DIED: 3,
    NODE_LOST: 100,  # not the stage's fault, but not without end either
    PREEMPTED: 100,
}
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0


@dataclass
class Retries:
    """Attempts that failed so far in this launch, by stage and cause."""

    failed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def delay(self, stage_id: str, cause: str) -> float | None:
        """Count a failed attempt; seconds to wait before the next, or None to give up."""
        self.failed[stage_id, cause] += 1
        count = self.failed[stage_id, cause]
        if count > RETRIES[cause]:
            return None
        if cause in (NODE_LOST, PREEMPTED):
            return 0.0
        return float(min(FIRST_DELAY_S * 2 ** (count - 1), LONGEST_DELAY_S))
