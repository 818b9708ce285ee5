"""A plan that was looked at is run as it was planned, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.launch import reviewed
from sweeps.launch.differences import differences
from sweeps.launch.reviewed import Reviewed
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store
from tests.sweeps.command import call_osr

SPEC: dict[str, Any] = {
    "name": "small",
    "datasets": ["digits"],
    "splits": [0, 1],
    "training": {"epochs": 3},
    "methods": {"softmax": {}, "cac": {"anchor_weight": [0.1, 0.2]}},
}


def planned(changes: dict[str, Any]) -> Plan:
    """The plan of the spec with changes."""
    return plan_with_data(parse_spec(SPEC | changes, "small"), None)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The spec as a file, in a folder with a home whose store knows the sweep."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SPEC, sort_keys=False))
    Store(tmp_path / "home" / "store").save_sweep("small", plan_record(planned({}), "abc"))
    return path


def test_differences_name_trials_and_the_fields_that_changed(spec: Path):
    """One grid point moved, one split more: two changed, three new."""
    changes = {
        "splits": [0, 1, 2],
        "methods": {"softmax": {}, "cac": {"anchor_weight": [0.1, 0.4]}},
    }
    found = differences(plan_record(planned({}), "abc"), planned(changes))
    assert found.kept == 4
    assert sorted(found.new) == [
        "cac digits/2 seed 0",
        "cac digits/2 seed 0",
        "softmax digits/2 seed 0",
    ]
    assert found.gone == []
    assert [(each.label, each.fields) for each in found.changed] == [
        (f"cac digits/{split} seed 0", ["hyperparameters.anchor_weight 0.2 -> 0.4"])
        for split in (0, 1)
    ]
    spec.write_text(
        yaml.safe_dump({**SPEC, "splits": [0], "training": {"epochs": 4}}, sort_keys=False)
    )
    told = call_osr("plan", spec, "--diff", home=spec.parent / "home").stdout
    assert "0 trials are new, 3 gone, 3 changed, 0 as they were" in told
    assert "gone     softmax digits/1 seed 0" in told
    assert "changed  softmax digits/0 seed 0: training.epochs 3 -> 4" in told


def test_other_data_and_other_code_are_named_where_no_setting_differs():
    """Their fingerprint or a version is in the id, and in no field."""
    record = plan_record(planned({}), "abc")
    record["trials"][0]["trial_id"] = "0" * 32
    (changed,) = differences(record, planned({})).changed
    assert changed.fields == ["a version of the code"]
    record["fingerprints"]["digits/test"] = "other"
    (changed,) = differences(record, planned({})).changed
    assert changed.fields == ["data digits/test"]


def test_a_sweep_that_was_never_run_has_nothing_to_compare_with(tmp_path: Path):
    """And it is said."""
    refused = call_osr("plan", "digits", "--diff", home=tmp_path)
    assert (refused.returncode, "nothing to compare with" in refused.stderr) == (2, True)


def test_all_stages_are_listed_with_what_is_to_run(spec: Path):
    """Inputs before users; a done one is not run again."""
    store = Store(spec.parent / "home" / "store")
    plan = planned({})
    first = next(iter(plan.stages))
    store.commit(
        first, plan.stages[first].identity, {}, {}, started_at=1.0, wall_s=1.0, host="here"
    )
    told = call_osr("plan", spec, "--stages", "--json", home=spec.parent / "home").stdout
    rows = json.loads(told)["stage_list"]
    assert [row["id"] for row in rows] == [stage_id[:8] for stage_id in plan.stages]
    assert (rows[0]["state"], rows[0]["to_run"], rows[0]["trials"]) == ("done", False, 1)
    assert {row["state"] for row in rows[1:]} == {"waiting"}


def test_a_plan_is_refused_when_store_code_or_data_have_moved_on(
    spec: Path, monkeypatch: pytest.MonkeyPatch
):
    """And runs when nothing has."""
    home, file = spec.parent / "home", spec.parent / "plan.json"
    written = call_osr("plan", spec, "--output", file, home=home)
    assert written.returncode == 0, written.stderr
    plan, store, read = planned({}), Store(home / "store"), Reviewed.read(str(file))
    assert plan_record(plan_with_data(read.spec, None), read.code) == read.record
    read.check(plan, store, read.code)
    with pytest.raises(
        reviewed.ConfigError, match=r"the code has moved on, from .* to other, since"
    ):
        read.check(plan, store, "other")
    with pytest.raises(reviewed.ConfigError, match="the data have changed"):
        read.check(planned({"splits": [0]}), store, read.code)
    with pytest.raises(reviewed.ConfigError, match="it is of store"):
        read.check(plan, Store(spec.parent / "other"), read.code)
    with monkeypatch.context() as other:
        other.setattr(reviewed, "source_of", lambda plan: "other")
        with pytest.raises(reviewed.ConfigError, match=r"files of the code .* have changed since"):
            read.check(plan, store, read.code)
    first = next(iter(plan.stages))
    store.commit(
        first, plan.stages[first].identity, {}, {}, started_at=1.0, wall_s=1.0, host="here"
    )
    refused = call_osr("run", file, home=home)
    assert refused.returncode == 2
    assert "the store has moved on: 1 of its 12 stages need not run any more" in refused.stderr
    assert f"Look again: osr plan SPEC --output {file}" in refused.stderr


@pytest.mark.parametrize("content", ["{}", "[]", "no", '{"format": "osr-sweeps plan 2"}'])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: str):
    """A spec in JSON, for one."""
    (tmp_path / "plan.json").write_text(content)
    refused = call_osr("run", tmp_path / "plan.json", home=tmp_path)
    assert (refused.returncode, "is not a plan that this version" in refused.stderr) == (2, True)
    missing = call_osr("run", tmp_path / "none.json", home=tmp_path)
    assert "there is no plan at" in missing.stderr


def test_a_plan_of_another_suffix_is_not_written(tmp_path: Path):
    """`osr run` would take it for a spec."""
    refused = call_osr("plan", "digits", "--output", tmp_path / "plan.yaml", home=tmp_path)
    assert "a plan's file ends in .json" in refused.stderr
