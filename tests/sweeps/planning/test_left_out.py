"""What a spec names and nothing implements yet is left out of the plan, and said."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from osr_core.data import BENCHMARKS, READERS
from osr_core.errors import ConfigError
from osr_core.methods import METHODS, Softmax
from sweeps.commands.app import app
from sweeps.planning import not_implemented
from sweeps.planning.json_schema import json_schema
from sweeps.planning.not_implemented import IMPLEMENTED, PLANNED
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec

DATA = {f"{name}/{subset}": "-" for name in READERS for subset in ("train", "test")}


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the papers have is here by now; another dataset and method stand for those to come."""
    monkeypatch.setitem(not_implemented.PLANNED["datasets"], "places", "it is not read yet")
    monkeypatch.setitem(not_implemented.PLANNED["methods"], "dream", "its network is not written")


GOOD: dict[str, Any] = {
    "name": "small",
    "datasets": ["digits", "places"],
    "splits": [0],
    "methods": {"dream": {"any": "thing"}, "softmax": {}},
}


def test_what_is_only_planned_is_left_out_and_listed() -> None:
    """The rest of the sweep runs."""
    spec = parse_spec(GOOD, "s")
    assert (spec.datasets, list(spec.methods)) == (["digits"], ["softmax"])
    assert [(each.what, each.name) for each in spec.missing] == [
        ("dataset", "places"),
        ("method", "dream"),
    ]
    assert make_plan(spec, DATA).counts()["trials"] == 1


def test_a_sweep_of_which_nothing_is_left_is_refused() -> None:
    """With the reason, and all of it at once."""
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, "datasets": ["places"], "methods": {"dream": {}}}, "s")
    assert len(caught.value.problems) == 2
    assert "method dream is not here yet: its network is not written" in str(caught.value)


def test_what_is_implemented_is_no_longer_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where PLANNED was not told of it."""
    monkeypatch.setitem(not_implemented.PLANNED["methods"], "softmax", "long done")
    assert [each.name for each in parse_spec(GOOD, "s").missing] == ["places", "dream"]
    assert Softmax is METHODS["softmax"]


def test_planned_names_are_not_implemented() -> None:
    """Whoever implements one takes its line away."""
    for key, names in PLANNED.items():
        assert not set(names) & set(IMPLEMENTED[key])
    assert IMPLEMENTED["datasets"] is BENCHMARKS


def test_osr_plan_says_what_is_left_out(tmp_path: Path) -> None:
    """For people, and for programs under "missing"."""
    spec = tmp_path / "small.yaml"
    spec.write_text(yaml.safe_dump(GOOD))
    home = ["--home", str(tmp_path / "home")]
    said = CliRunner().invoke(app, ["plan", str(spec), *home])
    assert "left out: method dream is not here yet" in said.stdout
    listed = CliRunner().invoke(app, ["plan", str(spec), "--json", *home])
    missing = yaml.safe_load(listed.stdout)["missing"]
    assert [each["name"] for each in missing] == ["places", "dream"]
    assert all(set(each) == {"what", "name", "why"} for each in missing)


def test_editors_accept_planned_names() -> None:
    """The JSON Schema says of each that it is left out."""
    properties = json_schema()["properties"]
    listed, _ = properties["datasets"]["items"]["anyOf"]
    assert "places" in listed["enum"]
    assert properties["methods"]["properties"]["dream"]["description"].startswith("left out: ")
