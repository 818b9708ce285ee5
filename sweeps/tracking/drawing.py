"""What stages left for their runs: tables, and pictures drawn while MLflow takes the numbers.

Pictures of the next stages are begun before their turn comes.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from osr_core.results.commit import Commit
from osr_core.stage import Stage
from sweeps.store.files import StoreError
from sweeps.store.store import Store
from sweeps.tracking.painter import AT_ONCE, PICTURED, Pictures

Facts = Callable[[Stage, Commit], Mapping[str, Any]]


@dataclass(frozen=True)
class Left:
    """What one stage left."""

    result: Commit
    tables: Mapping[str, bytes]  # Parquet by file name
    pictures: Future[Mapping[str, bytes]]  # PNG by file name


class Drawing:
    """Reads what stages left, and has pictures of it drawn."""

    def __init__(self, store: Store, pictures: Pictures | None, facts: Facts) -> None:
        """`facts` gives what stands around a stage's pictures; without `pictures` none are made."""
        self._store, self._pictures, self._facts = store, pictures, facts
        self._begun: dict[str, Left] = {}  # by stage id
        self._threads = ThreadPoolExecutor(AT_ONCE, "drawing")

    def left_by(self, stage: Stage) -> Left:
        """What a committed stage left.

        Raises:
            DamagedError: one of its tables is not what was committed.
        """
        return self._begun.pop(stage.id, None) or self._begin(stage)

    def ahead(self, stages: Iterable[Stage]) -> None:
        """Begin with stages whose turn comes soon, and forget all others that were begun."""
        before, self._begun = self._begun, {}
        for stage in stages:
            with suppress(StoreError):  # it is told when its turn comes
                self._begun[stage.id] = before.get(stage.id) or self._begin(stage)

    def forget(self) -> None:
        """Forget what was begun: what stands around its pictures has changed."""
        self._begun = {}

    def _begin(self, stage: Stage) -> Left:
        result = self._store.read_commit(stage.id)
        # all of them before anything is sent: one may be damaged
        tables = self._store.read_all(stage.id, ".parquet")
        about = self._facts(stage, result)
        return Left(result, tables, self._threads.submit(self._drawn, about, tables))

    def _drawn(self, about: Mapping[str, Any], tables: Mapping[str, bytes]) -> Mapping[str, bytes]:
        drawn: dict[str, bytes] = {}
        if self._pictures is not None:
            for name in PICTURED & tables.keys():
                drawn |= self._pictures(about, tables[name])
        return drawn
