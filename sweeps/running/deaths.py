"""Why the process of a running stage is gone: its own fault, or its node's."""

import math
from collections.abc import Callable

from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines

NODE_WORDS = ("node has died", "preempted", "node was terminated")  # in Ray's reason of a death

DOUBT_WORDS = "is unavailable"  # there too: the connection is gone, and Ray does not know why yet

DOUBT_S = 30.0  # Ray notices a lost node by missing heartbeats, after half of that

LOOK_EVERY_S = 1.0


class Doubts:
    """Deaths of which it is not known yet whether the whole node died.

    Ray tells of the lost connection at once and misses the node later; it may also have missed it
    before a busy driver comes to read of the connection. So a node found lost within DOUBT_S before
    or after counts; otherwise the worker died by itself.
    """

    def __init__(self, look: Callable[[], Machines]) -> None:
        self._machines = look()
        self._ask = look
        self._lost_at = self._looked_at = -math.inf
        self._open: list[tuple[float, Outcome]] = []  # since when, what it is if no node is lost

    def add(self, outcome: Outcome, now: float) -> bool:
        """A process died; whether its node may have, so that the outcome comes by `settled`."""
        self._look(now)
        possible = len(self._machines.there) > 1 or now <= self._lost_at + DOUBT_S
        if possible:
            self._open.append((now, outcome))
        return possible

    def settled(self, now: float) -> list[Outcome]:
        """Outcomes that are certain by now."""
        if now < self._looked_at + LOOK_EVERY_S:
            return []
        self._look(now)
        found, still = [], []
        for since, outcome in self._open:
            if since <= self._lost_at + DOUBT_S:
                message = outcome.traceback or ""
                found.append(death(outcome.stage_id, Cause.NODE_LOST, message))
            elif now > since + DOUBT_S:
                found.append(outcome)
            else:
                still.append((since, outcome))
        self._open = still
        return found

    def _look(self, now: float) -> None:
        machines = self._ask()
        if machines.lost > self._machines.lost:
            self._lost_at = now
        self._machines, self._looked_at = machines, now


def death(stage_id: str, cause: Cause, message: str) -> Outcome:
    """How an attempt ended whose process is gone; `message` is Ray's."""
    lines = message.strip().splitlines()
    reason = f"{cause}: {lines[-1]}" if lines else cause
    return Outcome(stage_id=stage_id, wall_s=0.0, cause=cause, reason=reason, traceback=message)
