"""The drivers of all sweeps of a store that live: who runs what, and what it has and wants."""

from sweeps.store.leases import Holder, Leases
from sweeps.store.witness import Life, Witness


class Neighbours:
    """Looks at leases; one that is known to be over is not read again."""

    def __init__(self, leases: Leases) -> None:
        self._leases, self._witness = leases, Witness(leases)
        self._over: set[tuple[str, int]] = set()  # drivers, by sweep and number

    def living(self, besides: str | None = None) -> dict[str, Holder]:
        """By sweep, who drives it. One on another machine counts until it has shown no heartbeat
        for as long as it is watched.
        """
        found: dict[str, Holder] = {}
        for sweep, number in sorted(self._leases.latest_numbers().items()):
            if sweep == besides or (sweep, number) in self._over:
                continue
            holder = self._leases.read(sweep, number)
            if holder is None or self._witness.judge(sweep, number, holder) == Life.DEAD:
                self._over.add((sweep, number))
            else:
                found[sweep] = holder
        return found
