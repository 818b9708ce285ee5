"""A record that is written in pieces says what the whole one would say."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from osr_core.results.whole_files import write_atomically
from sweeps.launch.growing_record import GrowingRecord
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_of, plan_record
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.search.searches import Searches
from sweeps.store import folder
from sweeps.store.store import Store
from tests.sweeps.search.worlds import SPACE, smooth


def spec_of(candidates: int) -> SweepSpec:
    """Two searches beside a row of its own, on three splits."""
    search = {"space": SPACE, "candidates": candidates, "lag": 3, "sampler": "random"}
    entries = [{}, {"search": search}, {"search": {**search, "seed": 1, "splits": [3, 4]}}]
    values = {"name": "growing", "datasets": ["digits"], "splits": [0, 1, 2]}
    return parse_spec({**values, "methods": {"cac": entries}}, "growing")


def growth(store: Store, spec: SweepSpec) -> Iterator[tuple[Plan, Plan]]:
    """The plan before and after each time that it grows; searches' stages end one by one."""
    base = plan_with_data(spec, None)
    searches = Searches(base, store)
    plan, ended = searches(base, None), set[str]()
    yield base, plan
    while todo := [t for t in plan.trials if t.purpose == "search" and t.id not in ended]:
        ended.add(todo[0].id)
        searches._tell(todo[0].id, smooth(todo[0]))
        before, plan = plan, searches(plan, None)
        yield before, plan


def plain(plan: Plan) -> Any:
    """The whole record, as JSON gives it back."""
    return json.loads(json.dumps(plan_record(plan, "code")))


def in_any_order(record: Mapping[str, Any] | None) -> dict[str, Any]:
    """A record by the names of what is in it."""
    assert record is not None
    keys = {"splits": "id", "trials": "trial_id", "stages": "stage_id", "searches": "search_id"}
    listed = {name: {each[key]: each for each in record[name]} for name, key in keys.items()}
    return {**record, **listed}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each file of a record that is written, and its bytes."""
    files: list[tuple[str, int]] = []
    write = write_atomically

    def noted(path: Path, content: bytes) -> None:
        if {"sweeps", "grown"} & set(path.parts[-4:]):
            files.append((path.name, len(content)))
        write(path, content)

    monkeypatch.setattr(folder, "write_atomically", noted)
    return files


def test_pieces_say_what_the_whole_would_say(tmp_path: Path, written: list[tuple[str, int]]):
    """After each growth, to whoever reads the store; plans and stages are those of now."""
    store = Store(tmp_path)
    record = GrowingRecord(store, "code")
    for before, plan in growth(store, spec_of(10)):
        record.save(before, plan)
        found = Store(tmp_path).sweep("growing")
        whole = plain(plan)
        for each in whole["stages"]:  # a label names what differs between the stages of its time
            each["label"] = ""
        for each in (found or {})["stages"]:
            each["label"] = ""
        assert in_any_order(found) == in_any_order(whole)
    assert plan_of(store.sweep("growing") or {}).stages.keys() == plan.stages.keys()
    assert store.sweep("growing") == plain(plan)  # whole, once searches are over
    assert len(written) > 2 * sum(name == "growing.json" for name, _ in written)


def test_what_is_written_grows_with_the_candidates_alone(
    tmp_path: Path, written: list[tuple[str, int]]
):
    """Four times as many candidates, and not sixteen times as many bytes."""
    sums = []
    for candidates in (10, 40):
        written.clear()
        store = Store(tmp_path / str(candidates))
        record = GrowingRecord(store, "code")
        for before, plan in growth(store, spec_of(candidates)):
            record.save(before, plan)
        sums.append(sum(size for _, size in written))
    assert sums[1] < 8 * sums[0]


def test_pieces_of_an_earlier_record_are_not_its_own(tmp_path: Path):
    """Whoever writes it whole begins anew, wherever the one before was broken off."""
    store = Store(tmp_path)
    pairs = growth(store, spec_of(4))
    (_, first), (_, second) = next(pairs), next(pairs)
    record = GrowingRecord(store, "code")
    record.save(first, first)
    left = store.sweep("growing")
    record.save(first, second)
    assert store.sweep("growing") != left
    piece = next(tmp_path.glob("grown/growing/*/000000.json"))
    content = piece.read_bytes()
    Store(tmp_path).save_sweep("growing", left or {})
    assert not piece.exists()
    piece.parent.mkdir(parents=True)
    piece.write_bytes(content)
    assert Store(tmp_path).sweep("growing") == left
    assert store.sweeps() == ["growing"]
