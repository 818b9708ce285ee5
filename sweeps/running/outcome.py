"""How an attempt at a stage ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    """What ended an attempt that left no result; the value is what users read."""

    REFUSED = "refused"  # the stage stopped with an error of its own (bad data): it would again
    ERROR = "error"  # anything else that the stage raised
    UNREACHABLE = "store does not answer"  # which says nothing of the stage
    OUT_OF_MEMORY = "CUDA out of memory"
    CROWDED = "CUDA out of memory beside its like"  # it gets a larger part of a GPU
    WORKER_DIED = "worker process died"
    NODE_LOST = "node lost"
    PREEMPTED = "preempted"  # SIGTERM: the state was saved
    CLAIMED = "begun by another sweep"  # which trains it now; this one waits for the result
    YIELDED = "left to another sweep"  # which has less of the cluster, before the stage began
    LACKS_DATA = "a machine without the data"  # it goes to another one that can get them
    GPU_CAME = "a GPU came"  # before the stage began, which was handed out for lack of one
    CANCELLED = "cancelled"  # a user has stopped this stage; the sweep goes on
    HELD = "held back"  # no more of its method begins; the stage is as it was
    PAUSED = "paused"  # a user has paused the whole sweep: the state was saved
    INTERRUPTED = "interrupted"  # the whole sweep was asked to stop
    TAKEN_OVER = "taken over"  # another driver runs the sweep now
    UNFIT = "unfit machine"  # it has other code than the driver, or does not see its store


# These end the launch; the stage is as it was.
OF_LAUNCH = (Cause.INTERRUPTED, Cause.TAKEN_OVER, Cause.UNFIT)


class Stopped(Exception):  # noqa: N818  (not an error: the state is saved)
    """An attempt ends early, with its state saved; `cause` says who asked."""

    def __init__(self, cause: Cause) -> None:
        self.cause = cause
        super().__init__(cause)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt at a stage ended."""

    stage_id: str
    wall_s: float
    cause: Cause | None = None  # None where the stage is committed
    reason: str | None = None
    traceback: str | None = None
    fault: str | None = None  # what its code raised, and where: "TypeError in cac.py:41"
    machine: Mapping[str, Any] | None = None  # what it ran on, of a stage that it has committed
