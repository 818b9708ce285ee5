"""When a search asks for no more candidates before it has tried all."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from sweeps.planning.search_block import Options
from sweeps.store.files import DamagedError, NotDoneError
from sweeps.store.store import Store


class Budget:
    """What the stages behind one search's results took, by what the store says of them: the same
    after any crash, whatever launches made them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: set[str] = set()  # ids of stages
        self._held_s = 0.0  # each stage by itself
        self._busy: list[tuple[float, float]] = []  # from and to, in s since 1970; none overlap

    def count(self, stages: Iterable[str]) -> None:
        """Stages have given the search results; one that is counted already adds nothing."""
        for stage_id in stages:
            if stage_id not in self._counted:
                self._counted.add(stage_id)
                try:
                    commit = self._store.read_commit(stage_id)
                except (NotDoneError, DamagedError):  # it was set aside since, and counts no more
                    continue
                self._held_s += commit.wall_s
                self._add(commit.started_at, commit.finished_at)

    def is_spent(self, options: Options) -> bool:
        """Whether the search has used up its hours."""
        busy_s = sum(end - start for start, end in self._busy)
        spent = ((options.gpu_hours, self._held_s), (options.wall_hours, busy_s))
        return any(hours is not None and seconds >= 3600 * hours for hours, seconds in spent)

    def _add(self, start: float, end: float) -> None:
        """Join a time with those that it overlaps."""
        first = bisect_left(self._busy, start, key=lambda time: time[1])
        after = bisect_right(self._busy, end, key=lambda time: time[0])
        for other_start, other_end in self._busy[first:after]:
            start, end = min(start, other_start), max(end, other_end)
        self._busy[first:after] = [(start, end)]
