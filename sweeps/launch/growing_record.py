"""The record of a plan that grows while it runs: written in pieces, and whole now and then."""

from sweeps.planning.plan import Plan
from sweeps.planning.record import piece_of, plan_record
from sweeps.store.store import Store

AGAIN = 2  # times as many stages as when it was written whole before


class GrowingRecord:
    """Keeps the store's record of one sweep up to date.

    Of N stages that come one by one, about 2 N are written, since each whole record is twice as
    long as the one before.
    """

    def __init__(self, store: Store, code: str) -> None:
        self._store, self._code = store, code
        self._num_whole = 0  # stages in what was written whole last

    def save(self, before: Plan, plan: Plan) -> None:
        """The plan has grown from what it was."""
        name = plan.spec.name
        is_short = plan.searches and len(plan.stages) < AGAIN * self._num_whole
        piece = piece_of(before, plan) if is_short else None
        if piece is not None:
            self._store.records.append(name, piece)
            return
        self._store.save_sweep(name, plan_record(plan, self._code))
        self._num_whole = len(plan.stages)
