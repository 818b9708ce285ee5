"""How searches stand, from a record that may be older than what the store has heard."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.search.standing import standing, step_s
from sweeps.search.study import Study
from sweeps.store.store import Store
from tests.sweeps.search.worlds import play, smooth, spec_with, study_of

SEARCH = {"candidates": 6, "lag": 2, "prune": "none"}
SAID = ("number", "params", "state", "values", "reason")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new one."""
    return Store(tmp_path)


def begun(store: Store, **search: Any) -> tuple[Study, dict[str, Any]]:
    """A study that has asked its first candidates, and the record of that moment."""
    study = study_of(spec_with({**SEARCH, **search}), store)
    study.advance()
    return study, {"sweep": "searching", "stages": [], "searches": [study.facts()]}


def commit(store: Store, stage_id: str, wall_s: float = 1.0, **metrics: float) -> None:
    """Leave a stage's numbers."""
    numbers = {f"validation/{name}": number for name, number in metrics.items()}
    store.commit(stage_id, {}, {}, numbers, started_at=1.0, wall_s=wall_s, host="here")


def test_what_was_told_after_the_record_was_written_counts(store: Store):
    """A launch may die between two writings of it."""
    _, record = begun(store)
    ended = play(lambda: study_of(spec_with(SEARCH), store), smooth, seed=1, at_once=2)
    (now,) = standing(record, store)["searches"]
    found = [[each[name] for name in SAID] for each in now["candidates"]]
    assert found == [[each[name] for name in SAID] for each in ended.facts()["candidates"]]
    assert len(record["searches"][0]["candidates"]) == 2


def test_candidate_at_work_shows_the_splits_that_it_has_met(store: Store):
    """In their order: the third is not shown before the second."""
    study, record = begun(store)
    first, _, third = [trial.id for step in study._steps[0][:3] for trial in step.values()]
    commit(store, first, auroc=0.75)
    commit(store, third, auroc=0.5)
    (now,) = standing(record, store)["searches"]
    candidate = now["candidates"][0]
    assert (candidate["state"], candidate["values"]) == (
        "running",
        {"held_out_classes_auroc": [0.75]},
    )


def test_candidates_of_a_longer_search_do_not_count(store: Store):
    """Another sweep asked more of the same search; this one has planned two."""
    play(lambda: study_of(spec_with(SEARCH), store), smooth, seed=1, at_once=2)
    study = study_of(spec_with({**SEARCH, "candidates": 2}), store)
    study.advance()
    facts = {**study.facts(), "over": False, "candidates": []}
    (now,) = standing({"stages": [], "searches": [facts]}, store)["searches"]
    assert [each["number"] for each in now["candidates"]] == [0, 1]


def test_step_takes_the_mean_of_its_stages_and_shared_ones_count_once(store: Store):
    """Two candidates share an ensemble of 10 s; each trains 4 s and scores 1 s."""
    candidates = [
        {"trials": [[name], [f"{name}-later"]], "values": {"rule": [0.5]}} for name in ("a", "b")
    ]
    stages = [("ensemble", []), ("fit-a", ["ensemble"]), ("fit-b", ["ensemble"])]
    stages += [("a", ["fit-a"]), ("b", ["fit-b"]), ("a-later", ["fit-a"])]
    record = {"stages": [{"stage_id": name, "inputs": inputs} for name, inputs in stages]}
    facts = {"rules": ["rule"], "shares": [1.0], "candidates": candidates}
    assert step_s(record, facts, store) is None
    for name, wall_s in {"ensemble": 10, "fit-a": 4, "fit-b": 4, "a": 1, "b": 1}.items():
        commit(store, name, wall_s)
    commit(store, "a-later", 100)  # of a step whose value is not told
    assert step_s(record, facts, store) == (10 + 4 + 4 + 1 + 1) / 2
