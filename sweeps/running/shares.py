"""How much of a cluster each of several sweeps may have at once. Pure.

Dominant resource fairness (Ghodsi et al., NSDI 2011), by progressive filling: what is there is
dealt out a stage at a time, each time to the sweep that has least of the resource it has most of.
Sweeps of a higher priority are dealt to first; what one sweep does not want goes to the others.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from sweeps.running.placement import ROUNDING, Ask, part_of

ALIKE_S = 6.0  # of the whole cluster's time: some heartbeats


class Demand(NamedTuple):
    """What a sweep wants of a cluster at this moment."""

    ask: Ask  # of its largest stage
    wants: int  # such stages that it could have at once, those that it has included
    priority: int = 0
    served_s: float = 0.0  # seconds times its part of the cluster, so far

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """As it stands in a lease."""
        return cls(Ask(*facts["ask"]), facts["wants"], facts["priority"], facts["served_s"])


def share_of(
    own: str, mine: Demand, others: Mapping[str, Demand], there: Mapping[str, float]
) -> int:
    """How many stages of its largest kind one sweep may have at once, as its driver sees it.

    What others say is some seconds old. Of two that were served alike, both may have the last slot:
    one gets it, and the other waits until they differ. If neither might, it would stay empty.

    Args:
        own: the sweep's name.
        mine: what it wants.
        others: what others want, by sweep.
        there: what all machines have together.
    """
    favoured = mine._replace(served_s=mine.served_s - ALIKE_S)
    return allotted({**others, own: favoured}, there)[own]


def demand_of(asks: Counter[Ask], there: Mapping[str, float]) -> Demand | None:
    """What a sweep wants that could have so many stages of each kind at once; None: nothing.

    Args:
        asks: what its stages take, and how many take that.
        there: what all machines have together.
    """
    if not asks:
        return None
    parts = {ask: part_of(ask, there) for ask in asks}
    largest = max(asks, key=lambda ask: parts[ask])
    if parts[largest] > 1 + ROUNDING:  # it fits nowhere now, and is waited for
        return Demand(largest, asks.total())
    wants = sum(parts[ask] * count for ask, count in asks.items()) / parts[largest]
    return Demand(largest, math.ceil(wants - ROUNDING))


def beyond(
    share: float | None, held: float, queued: Sequence[tuple[str, Ask]], there: Mapping[str, float]
) -> set[str]:
    """Ids of queued stages that are more than a sweep's share, the last ones first.

    Args:
        share: part of the cluster; None: all of it.
        held: the part that what it has handed out takes, or will.
        queued: of that, by id, what has no machine yet.
        there: what all machines have together.
    """
    left: set[str] = set()
    for stage_id, ask in reversed(queued):
        if share is None or held <= share + ROUNDING:
            break
        held -= part_of(ask, there)
        left.add(stage_id)
    return left


def allotted(demands: Mapping[str, Demand], there: Mapping[str, float]) -> dict[str, int]:
    """How many stages of its largest kind each sweep may have at once.

    Where the last ones cannot be dealt out evenly, they go to whom was served least so far, so that
    they go round. That sweep gets one stage more than there is room for: it waits for what is free
    next, and a cluster that grows by demand sees it.

    Args:
        demands: by sweep.
        there: what all machines have together, in use or not: {"CPU": 64, "GPU": 8}.
    """
    dealt = dict.fromkeys(demands, 0)
    left = {"CPU": there.get("CPU", 0.0), "GPU": there.get("GPU", 0.0)}
    turned_away = set()

    def turn(sweep: str) -> tuple[int, float, float, str]:
        demand = demands[sweep]
        has = dealt[sweep] * part_of(demand.ask, there)
        return -demand.priority, round(has, 9), demand.served_s, sweep

    def waits(sweep: str) -> tuple[int, float, str]:
        return -demands[sweep].priority, demands[sweep].served_s, sweep

    open_to = {
        sweep
        for sweep, demand in demands.items()
        if demand.wants > 0 and part_of(demand.ask, there) <= 1 + ROUNDING
    }
    while open_to:
        sweep = min(open_to, key=turn)
        ask = demands[sweep].ask
        if ask.cpus > left["CPU"] + ROUNDING or ask.gpus > left["GPU"] + ROUNDING:
            open_to.remove(sweep)
            turned_away.add(sweep)
            continue
        dealt[sweep] += 1
        left["CPU"] -= ask.cpus
        left["GPU"] -= ask.gpus
        if dealt[sweep] == demands[sweep].wants:
            open_to.remove(sweep)
    if turned_away:
        dealt[min(turned_away, key=waits)] += 1
    return dealt
