"""The hours of a search: of the stages behind its results, whatever launches made them."""

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from sweeps.planning.search_block import Options
from sweeps.search.budget import Budget
from sweeps.store.files import UnreachableError
from sweeps.store.store import Store
from tests.sweeps.search.worlds import smooth, spec_with, study_of

HOUR = 3600.0


def commit(store: Store, name: str, start: float, hours: float) -> None:
    """A stage that began so many hours after the first."""
    times = {"started_at": HOUR * start, "wall_s": HOUR * hours}
    store.commit(name, {}, {}, {}, **times, host="here")


@pytest.mark.parametrize(
    "order", [("a", "b", "c", "d"), ("d", "b", "c", "a"), ("c", "d", "a", "b")]
)
def test_hours_at_work_leave_out_pauses_and_count_no_time_twice(
    tmp_path: Path, order: tuple[str, ...]
):
    """Two that overlap from 0 to 3, one within them, a night, and one from 10 to 11: 4 hours of
    the clock, 6 of the stages.
    """
    store = Store(tmp_path)
    for name, start, hours in (("a", 0, 2), ("b", 1, 2), ("c", 1.5, 1), ("d", 10, 1)):
        commit(store, name, start, hours)
    budget = Budget(store)
    budget.count([*order, *order, "gone"])
    for hours, is_spent in ((3.999, True), (4.0, True), (4.001, False)):
        assert budget.is_spent(Options(wall_hours=hours)) == is_spent
        assert budget.is_spent(Options(gpu_hours=hours + 2)) == is_spent
    assert not budget.is_spent(Options())


def test_a_search_that_goes_on_has_what_is_left_of_its_hours(tmp_path: Path):
    """Each step of the first candidate took half an hour; the second launch asks no more."""
    spec, store = spec_with({"wall_hours": 2.5, "lag": 1, "prune": "none"}), Store(tmp_path)
    first = study_of(spec, store)
    for number, trial in enumerate(first.advance()):
        for position, stage in enumerate(trial.score.walk()):
            commit(store, stage.id, number / 2 + position / 4, 0.25)
        first.note(trial.id, smooth(trial))
    first.advance()
    again = study_of(spec, store)
    again.advance()
    for study in (first, again):
        assert (len(study.candidates), study.is_over) == (1, True)
    longer = study_of(spec_with({"wall_hours": 3.0, "lag": 1, "prune": "none"}), store)
    longer.advance()
    assert len(longer.candidates) == 2


def test_hours_that_cannot_be_read_now_are_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A search would ask more than it may; what was deleted counts no more, as before."""
    store = Store(tmp_path)
    commit(store, "a", 0, 2)
    error = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    with monkeypatch.context() as away:
        away.setattr(store._files, "_read", Mock(side_effect=error))
        with pytest.raises(UnreachableError):
            Budget(store).count(["a"])
    budget = Budget(store)
    budget.count(["a", "gone"])
    assert budget.is_spent(Options(gpu_hours=2))
