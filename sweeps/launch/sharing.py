"""How a launch shares its cluster with other sweeps: what it says of itself, and what it leaves.

Every driver says in its lease what it has and wants, and deals the cluster out among all that do,
by the same rule (`running.shares`). Only sweeps of one store see each other. What runs is never
interrupted for another sweep: a sweep that has too much begins nothing until it has less.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sweeps.launch.eta import Eta
from sweeps.launch.state import Launch
from sweeps.running.placement import part_of
from sweeps.running.shares import Demand, beyond, demand_of, share_of
from sweeps.store.files import StoreError
from sweeps.store.leases import BEAT_S
from sweeps.store.neighbours import Neighbours

if TYPE_CHECKING:
    from sweeps.running.searcher import StageSearcher


class Sharing:
    """Looks at others about as often as they tell of themselves."""

    def __init__(
        self,
        launch: Launch,
        searcher: "StageSearcher",
        cluster: str | None,
        eta: Callable[[], Eta | None],
    ) -> None:
        """`cluster` tells one that is shared from all others; None: it is this launch's own."""
        self.eta = eta
        self.launch, self.searcher, self.cluster = launch, searcher, cluster
        self.neighbours = Neighbours(launch.store.leases)
        self.served_s = 0.0  # seconds times the part of the cluster that it had
        self.left: set[str] = set()  # ids of stages that are queued and do not begin
        self.looked_at = time.monotonic()
        self._next = 0.0
        self.slots: int | None = None  # of this sweep, as far as its largest stages go
        searcher.room.most = launch.terms.most

    def look(self) -> None:
        """Say what this sweep has and wants, and hand out no more than its share."""
        now = time.monotonic()
        self.served_s += (now - self.looked_at) * self.searcher.part_running
        self.looked_at = now
        if now < self._next:
            return
        self._next = now + BEAT_S
        with suppress(StoreError):  # as before, until the store answers
            others = self._others()
            self._share(others)
            self._leave()
        self.launch.tell(self._work())

    def given_back(self, stage_id: str) -> None:
        """A stage has left its place, if it was told so: the next time it may begin."""
        if stage_id in self.left:
            with suppress(StoreError):  # then `_leave` gives it back
                self.launch.store.orders.take_back(self.launch.fence, [stage_id])
                self.left.remove(stage_id)

    def _others(self) -> dict[str, Demand]:
        """What others want of this cluster, those that want nothing left out."""
        if self.cluster is None:
            return {}
        own = self.launch.fence.sweep
        living = self.neighbours.living(besides=own)
        works = {sweep: holder.get("work") for sweep, holder in living.items()}
        return {
            sweep: Demand.of(work)
            for sweep, work in works.items()
            if work and work["cluster"] == self.cluster and work["wants"]
        }

    def _share(self, others: dict[str, Demand]) -> None:
        room, own = self.searcher.room, self.launch.fence.sweep
        if others and not (self.served_s and self._demand()):  # who comes has saved nothing up
            self.served_s = max(self.served_s, min(each.served_s for each in others.values()))
        mine, total = self._demand(), room.machines.total
        self.slots = None if mine is None else room.machines.room_for(mine.ask)
        if not others or mine is None or part_of(mine.ask, total) > 1:
            room.share = None
        else:
            stages = share_of(own, mine, others, total)
            room.share = stages * part_of(mine.ask, total)
            self.slots = min(stages, room.machines.room_for(mine.ask))
        if self.slots is not None and room.most is not None:
            self.slots = min(self.slots, room.most)

    def _demand(self) -> Demand | None:
        """Of this sweep; None: nothing."""
        terms = self.launch.terms
        asks, machines = self.searcher.asks(), self.searcher.room.machines
        fitting = Counter({ask: count for ask, count in asks.items() if machines.room_for(ask)})
        found = demand_of(fitting or asks, machines.total)  # what fits nowhere takes no share
        if found is None:
            return None
        fits = machines.room_for(found.ask) + 1  # a label, a type of GPU
        wants = min(found.wants, fits, terms.most or found.wants)
        return found._replace(wants=wants, priority=terms.priority, served_s=self.served_s)

    def _leave(self) -> None:
        """What is queued beyond the share does not begin; what is within it may."""
        room, queued = self.searcher.room, self.searcher.queued()
        fitting = [(stage_id, ask) for stage_id, ask in queued if room.machines.room_for(ask)]
        leave = beyond(room.share, room.held, fitting, room.machines.total)
        orders, fence = self.launch.store.orders, self.launch.fence
        orders.take_back(fence, sorted(self.left - leave))
        self.left &= leave
        for stage_id in sorted(leave - self.left):
            self.left.add(stage_id)  # first: an order whose answer is lost is taken back, too
            orders.leave(fence, [stage_id])

    def _work(self) -> dict[str, Any]:
        """What the lease is to say."""
        searcher, said = self.searcher, self._demand()
        return {
            "cluster": self.cluster,
            "ask": None if said is None else list(said.ask[:2]),
            "wants": 0 if said is None else said.wants,
            "priority": self.launch.terms.priority,
            "most": self.launch.terms.most,
            "served_s": self.served_s,
            "share": searcher.room.share,
            "part": searcher.part_running,
            "running": searcher.num_running,
            "queued": len(searcher.queued()),
            "left": searcher.frontier.num_left,
            "paused": searcher.paused,
            "eta_s": self.eta(),
        }
