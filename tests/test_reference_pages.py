"""Pages of the documentation that are made from the code: they say all that there is."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from analysis.exports import columns
from analysis.exports.candidates import CANDIDATE_COLUMNS
from osr_core.methods import OWN
from sweeps.commands.app import app
from sweeps.planning.json_schema import json_schema
from sweeps.planning.spec import packaged_specs

ROOT = Path(__file__).parents[1]


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What gives a generated page by the name of its module."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "generated")
    return lambda name: importlib.import_module(name).page()


def test_every_command_is_there(page_of: Any):
    """With the options that it takes; a new one needs no second place."""
    page = page_of("commands")
    commands = app.registered_commands
    named = {each.name or each.callback.__name__ for each in commands if each.callback}
    named |= {str(group.name) for group in app.registered_groups}
    assert named <= set(re.findall(r"^## `osr (\w+)`", page, re.MULTILINE))
    assert "* `--take-over`: Take over from an `osr run` that still runs; what" in page


def test_every_key_of_a_spec_is_there(page_of: Any):
    """Also those inside of blocks, and every setting of every method."""
    page = page_of("spec_keys")
    properties = json_schema()["properties"]
    keys = [*properties, *properties["resources"]["properties"], "augmentation.crop_padding"]
    assert [key for key in keys if f"\n| `{key}` |" not in page] == []
    assert [line for line in page.splitlines() if line[:1] == "|" and line[-1] != "|"] == []
    for name, method in OWN.items():
        section = page.partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
        settings = method.Config.__dataclass_fields__
        assert [each for each in settings if f"\n| `{each}` |" not in section] == [], name


def test_every_packaged_spec_is_there(page_of: Any):
    """With what it is for, in the words of its own file, and the name of its sweep."""
    page = page_of("specs")
    assert [name for name in packaged_specs() if f"\n| `{name}` | " not in page] == []
    row = page.partition("\n| `digits` | ")[2].partition("\n")[0]
    assert row.startswith("The embedded default: five methods on scikit-learn's handwritten digits")
    assert row.endswith("two cores. | `digits` | `digits` | 5 |")


def test_every_column_is_there(page_of: Any):
    """Name, type, unit and meaning of all that is declared, as the files themselves have them."""
    page = page_of("columns")
    declared = [value for name, value in vars(columns).items() if name.endswith("_COLUMNS")]
    for column in [column for each in (*declared, CANDIDATE_COLUMNS) for column in each]:
        assert f"| {column.name} | `{column.type}` | {column.unit} | {column.meaning}" in page


def test_every_offered_name_is_there(page_of: Any):
    """What `sweeps` and `analysis` offer, where mkdocstrings finds the docstring."""
    page = page_of("python_api")
    assert "::: sweeps.library.launches.run\n" in page
    assert "::: analysis.library.for_notebooks.figure\n" in page


def test_every_page_in_the_navigation_is_linked_or_generated():
    """The readme is how a reader of the checkout finds the pages."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"(docs/{name})" not in readme} == set()
