"""The best results of a sweep so far, while it runs."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import mean

from osr_core.stage import Stage
from osr_core.wording import percent
from sweeps.planning.plan import EVALUATE, Plan
from sweeps.store.files import StoreError, at_once
from sweeps.store.store import Store

METRIC = "test/auroc"
SHOWN = 3  # rows of a data set
Values = dict[tuple[str, int], float]  # AUROC by split and seed
Read = Callable[[str], float | None]
"""Given a trial's id, its AUROC; None: it cannot be told now."""


def reader_of(store: Store) -> Read:
    """What reads it off a marker; a store that does not answer ends no launch."""

    def read(trial_id: str) -> float | None:
        try:
            return store.read_commit(trial_id).metrics.get(METRIC)
        except StoreError:
            return None

    return read


class Best:
    """Means over the finished trials of each row of the table; `read` is asked once for each.

    Rows are compared over the same splits and seeds: those of the row that has the most. A row that
    lacks one of them is not shown yet.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._found: dict[str, dict[str, Values]] = {}  # by data set and row

    def add(self, plan: Plan, stages: Iterable[Stage]) -> None:
        """These stages of a plan are done; those that end no trial of the table say nothing."""
        ends = [
            trial
            for stage in stages
            if (trial := plan.trial_of.get(stage.id)) is not None and trial.id == stage.id
        ]
        tabled = [trial for trial in ends if trial.purpose == EVALUATE]
        values = at_once(self._read, [trial.id for trial in tabled])
        for trial, value in zip(tabled, values, strict=True):
            if value is not None:
                rows = self._found.setdefault(trial.split.benchmark, defaultdict(dict))
                row = trial.title + plan.differing(trial.score)
                rows[row][trial.split.id, trial.seed] = value

    def lines(self) -> list[str]:
        """A line for each data set: "digits: CAC 96.9 (3), MLS 95.0 (3)", trials in brackets."""
        return [
            f"{dataset}: {', '.join(_words(rows, row) for row in _ranked(rows))}"
            for dataset, rows in self._found.items()
        ]


def _ranked(rows: dict[str, Values]) -> list[str]:
    most = max(rows.values(), key=len).keys()
    fair = [row for row in rows if rows[row].keys() >= most]
    return sorted(fair, key=lambda row: -mean(rows[row].values()))[:SHOWN]


def _words(rows: dict[str, Values], row: str) -> str:
    return f"{row} {percent(mean(rows[row].values()), 1)} ({len(rows[row])})"
