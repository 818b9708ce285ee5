"""docs/reproducing.md: a mark for every cell of the nine tables, and what `osr cost` prints."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.papers.layout import Grid
from analysis.papers.layouts import LAYOUTS, layout_named
from sweeps.commands.app import app
from sweeps.planning.spec import packaged_specs

PAGE = (Path(__file__).parents[3] / "docs" / "reproducing.md").read_text(encoding="utf-8")
MARKS = set(re.findall(r"^\| (\w+|-) \|", PAGE.partition("## CAC")[0], re.MULTILINE)) - {"mark"}


def tables_of(title: str) -> list[list[list[str]]]:
    """The cells of all tables in the section with this heading, headings of columns first."""
    section = PAGE.partition(f"### {title}\n")[2].partition("\n#")[0]
    blocks = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def marks(grid: Grid, tables: list[list[list[str]]]) -> dict[tuple[str, str], str]:
    """By line and place, the marks of a grid, found by its columns' labels."""
    labels = [place.label for place in grid.places]
    found = {}
    for heading, _, *rows in tables:
        if heading[2:] == labels:
            for names, _, *cells in rows:
                for name in names.split(", "):
                    by_place = zip(labels, cells, strict=True)
                    found |= {(name, label): cell for label, cell in by_place}
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_cell_has_a_mark(name: str) -> None:
    """And the dash where the paper prints nothing, nowhere else."""
    layout = layout_named(name)
    tables = tables_of(layout.title)
    by_title = dict(zip((grid.title for grid in layout.grids), tables, strict=False))
    together = len(tables) < len(layout.grids)  # grids with the same columns share a table
    for grid in layout.grids:
        found = marks(grid, tables if together else [by_title[grid.title]])
        for line in grid.lines:
            for place in grid.places:
                printed = grid.printed.get((line.label, place.label))
                mark = found[line.label, place.label]
                assert set(mark.split()) <= MARKS, (line.label, place.label)
                assert (mark == "-") == (printed is None or printed.value is None)


def test_no_row_is_of_another_table() -> None:
    """A label that is not printed would be read as one that is."""
    for name in LAYOUTS:
        layout = layout_named(name)
        printed = {line.label for grid in layout.grids for line in grid.lines}
        rows = [row for table in tables_of(layout.title) for row in table[2:]]
        assert {label for row in rows for label in row[0].split(", ")} == printed


def test_every_spec_that_it_names_is_packaged() -> None:
    """And every table's section names the spec that makes it."""
    for name in LAYOUTS:
        layout = layout_named(name)
        section = PAGE.partition(f"### {layout.title}\n")[2].partition("\n#")[0]
        assert f"`{layout.spec}`" in section
        assert layout.spec in packaged_specs()


def test_the_costs_are_those_that_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """`osr cost` at 80 columns; where this fails, paste what it prints now."""
    monkeypatch.setenv("COLUMNS", "80")
    printed = CliRunner().invoke(app, ["cost"]).stdout
    (block,) = re.findall(r"```\n(.*?)```", PAGE.partition("## What it costs")[2], re.DOTALL)
    assert block.split("\n") == [line.rstrip() for line in printed.split("\n")]
