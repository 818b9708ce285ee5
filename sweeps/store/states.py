"""How far the stages of a sweep are, by what the store holds of them."""

from collections.abc import Iterable
from enum import StrEnum

from sweeps.store.leases import Fence
from sweeps.store.store import Store


class State(StrEnum):
    """The value is what users read and type."""

    DONE = "done"
    CANCELLED = "cancelled"  # until it is retried
    FAILED = "failed"  # given up; the next launch tries it again
    BEGUN = "begun"  # a fit that has told of its epochs, running or cut off
    WAITING = "waiting"  # nothing is known of it


def states(store: Store, sweep: str, ids: Iterable[str]) -> dict[str, State]:
    """The state of each of these stages of a sweep."""
    found = dict.fromkeys(ids, State.WAITING)
    done = store.committed(found)
    left = [stage_id for stage_id in found if stage_id not in done]
    begun, failed = store.attempts.begun(left), store.attempts.given_up(left)
    cancelled = store.orders.read(Fence(sweep, 0)).cancelled
    groups = (
        (State.BEGUN, begun),
        (State.FAILED, failed),
        (State.CANCELLED, cancelled & found.keys()),
        (State.DONE, done),
    )
    for state, of_state in groups:  # what comes later counts
        found |= dict.fromkeys(of_state, state)
    return found
