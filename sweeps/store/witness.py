"""Whether drivers live, judged without waiting: whoever asks again later gets to know more."""

import time
from collections.abc import Iterable
from enum import Enum

from sweeps.store.leases import WATCH_S, Holder, Leases, is_of_this_machine, started_at

LOOK_EVERY_S = 0.5


class Life(Enum):
    """What is known of a driver."""

    LIVES = "lives"
    DEAD = "dead"
    UNSURE = "unsure"  # on another machine, and not watched for long enough yet


class Witness:
    """Remembers the heartbeats that it saw of drivers on other machines."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}  # beats, and since when

    def life(self, sweep: str, number: int | None = None) -> Life:
        """Of the driver of a sweep that has this number; of the latest, if none is given.

        One that was taken over counts as dead: what it does is not wanted.
        """
        latest, holder = self._leases.latest(sweep)
        if number is not None and number != latest:
            return Life.DEAD
        return self.judge(sweep, latest, holder)

    def judge(self, sweep: str, number: int, holder: Holder | None) -> Life:
        """Of the latest driver of a sweep, by what its lease says."""
        if holder is None or holder["released"]:
            return Life.DEAD
        if is_of_this_machine(holder):
            lives = started_at(holder["pid"]) == holder["process_started"]
            return Life.LIVES if lives else Life.DEAD
        now = time.monotonic()
        beats, since = self._seen.setdefault((sweep, number), (holder["beats"], now))
        if beats != holder["beats"]:
            self._seen[sweep, number] = holder["beats"], now
            return Life.LIVES
        return Life.DEAD if now - since > WATCH_S else Life.UNSURE

    def lives(self, sweeps: Iterable[str]) -> dict[str, Life]:
        """What is known of the latest driver of each of some sweeps; waits until none is unsure.

        That takes a heartbeat where a driver on another machine lives, and WATCH_S where none does.
        """
        known = {sweep: self.life(sweep) for sweep in sweeps}
        while unsure := [sweep for sweep, life in known.items() if life == Life.UNSURE]:
            time.sleep(LOOK_EVERY_S)
            known |= {sweep: self.life(sweep) for sweep in unsure}
        return known

    def find_living(self, sweeps: Iterable[str]) -> str | None:
        """The first of some sweeps whose driver lives; None once all are known to be dead.

        All are watched at the same time, so it takes no longer for many than for one.
        """
        unsure = list(sweeps)
        while unsure:
            lives = {sweep: self.life(sweep) for sweep in unsure}
            if living := [sweep for sweep, life in lives.items() if life == Life.LIVES]:
                return living[0]
            unsure = [sweep for sweep, life in lives.items() if life == Life.UNSURE]
            time.sleep(LOOK_EVERY_S if unsure else 0)
        return None
