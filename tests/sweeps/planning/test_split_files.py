"""Where a spec's split file is looked for, and that a sweep outlives it."""

import json
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_of, plan_record
from sweeps.planning.spec import load_spec

LISTS = {"splits": {"digits": [{"known": [0, 2, 4], "unknown": [1, 3]}]}}
SPEC = "name: own\ndatasets: [digits]\nsplits: [0]\nmethods: {softmax: {}}\nprotocol: "


def plan(folder: Path, protocol: str) -> Plan:
    """Of a spec in a folder that names its split file so."""
    folder.mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(f"{SPEC}{protocol}\n")
    return plan_with_data(load_spec(str(folder / "spec.yaml")), None)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A split file in a folder of its own."""
    (tmp_path / "specs").mkdir()
    path = tmp_path / "specs" / "own.json"
    path.write_text(json.dumps(LISTS))
    return path


@pytest.mark.parametrize("protocol", ["own.json", "./own.json", "../specs/own.json", "~/own.json"])
def test_a_split_file_is_looked_for_beside_its_spec(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
):
    """Wherever the command is typed, and where another file of the name lies."""
    monkeypatch.setenv("HOME", str(lists.parent))
    (tmp_path / "own.json").write_text(json.dumps({"splits": {}}))
    monkeypatch.chdir(tmp_path)
    (trial,) = plan(lists.parent, protocol).trials
    assert (trial.split.known, trial.split.protocol) == ((0, 2, 4), protocol)


def test_a_missing_split_file_is_named_with_the_place_that_was_looked_at(tmp_path: Path):
    """Else nobody knows what the name is relative to."""
    with pytest.raises(ConfigError, match=f"protocol '{tmp_path}/gone.json' cannot be read"):
        plan(tmp_path, "gone.json")


def test_a_home_of_nobody_is_refused(tmp_path: Path):
    """By a sentence."""
    with pytest.raises(ConfigError, match="no user is called so"):
        plan(tmp_path, "~nobody-of-this-name/own.json")


def test_a_sweeps_record_keeps_the_classes_of_its_splits(lists: Path):
    """`osr sync` works when the file is gone, has changed, or lies elsewhere."""
    made = plan(lists.parent, "own.json")
    record = json.loads(json.dumps(plan_record(made, "abc")))
    for change in (lambda: lists.write_text(json.dumps({"splits": {}})), lists.unlink):
        change()
        again = plan_of(record)
        assert list(again.stages) == list(made.stages)
        assert again.trials[0].split == made.trials[0].split
        assert plan_record(again, "abc") == record
