"""When a search asks for no more candidates before it has tried all."""

import time
from collections.abc import Iterable
from contextlib import suppress

from sweeps.planning.search_block import Options
from sweeps.store.files import StoreError
from sweeps.store.store import Store


class Budget:
    """What is spent of a launch's time, and of the hours that stages took."""

    def __init__(self, store: Store) -> None:
        """The clock of the launch begins to run."""
        self._store, self._began = store, time.monotonic()
        self._hours: dict[str, float] = {}  # by stage id

    def is_spent(self, options: Options, stages: Iterable[str]) -> bool:
        """Whether a search has used up its hours; `stages` made the results that it may know."""
        hours = (time.monotonic() - self._began) / 3600
        if options.wall_hours is not None and hours >= options.wall_hours:
            return True
        if options.gpu_hours is None:
            return False
        return sum(map(self._hours_of, dict.fromkeys(stages))) >= options.gpu_hours

    def _hours_of(self, stage_id: str) -> float:
        if stage_id not in self._hours:
            self._hours[stage_id] = 0.0
            with suppress(StoreError):  # it was deleted since, and counts no more
                self._hours[stage_id] = self._store.read_commit(stage_id).wall_s / 3600
        return self._hours[stage_id]
