"""docs/reproducing.md: a mark for every cell of the nine tables, and what `osr cost` prints."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from analysis.papers.layout import Grid, Layout, Line, Place
from analysis.papers.layouts import LAYOUTS, layout_named
from osr_core.data import READERS
from osr_core.data.splits import class_split
from sweeps.commands.app import app
from sweeps.planning.plan import PlannedTrial, make_plan
from sweeps.planning.spec import load_spec, packaged_specs

PAGE = (Path(__file__).parents[3] / "docs" / "reproducing.md").read_text(encoding="utf-8")
DATA = {f"{name}/{subset}": "-" for name in READERS for subset in ("train", "test")}
SIX = ["mnist", "svhn", "cifar10", "cifar+10", "cifar+50", "tinyimagenet"]
SAME_LISTS = {"osrci": "cac"}  # the page's protocol, and under which the specs have its lists
MARKS = set(re.findall(r"^\| (\w+|-) \|", PAGE.partition("## CAC")[0], re.MULTILINE)) - {"mark"}


def tables_of(title: str) -> list[list[list[str]]]:
    """The cells of all tables in the section with this heading, headings of columns first."""
    section = PAGE.partition(f"### {title}\n")[2].partition("\n#")[0]
    blocks = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


class Cell(NamedTuple):
    """What the page says where a line meets a place."""

    grid: Grid
    line: Line
    place: Place
    protocol: str
    mark: str


def marks(grid: Grid, tables: list[list[list[str]]]) -> dict[tuple[str, str], tuple[str, str]]:
    """By line and place, protocol and marks of a grid, found by its columns' labels."""
    labels = [place.label for place in grid.places]
    found = {}
    for heading, _, *rows in tables:
        if heading[2:] == labels:
            for names, protocol, *cells in rows:
                for name in names.split(", "):
                    by_place = zip(labels, cells, strict=True)
                    found |= {(name, label): (protocol, cell) for label, cell in by_place}
    return found


def cells(layout: Layout) -> Iterator[Cell]:
    """Every cell of a table."""
    tables = tables_of(layout.title)
    by_title = dict(zip((grid.title for grid in layout.grids), tables, strict=False))
    together = len(tables) < len(layout.grids)  # grids with the same columns share a table
    for grid in layout.grids:
        found = marks(grid, tables if together else [by_title[grid.title]])
        for line in grid.lines:
            for place in grid.places:
                yield Cell(grid, line, place, *found[line.label, place.label])


# Rows x columns as the papers have them, what they leave empty included; PMAL's first and second
# table have two and three blocks, and its fifth has a line more, from the text.
NUM_CELLS = {
    "cac1": 6 * 5,
    "cac2": 7 * 6,
    "cac3": 2 * 5,
    "cac4": 4 * 2,
    "pmal1": 2 * 10 * 6,
    "pmal2": 3 * 5 * 3,
    "pmal3": 6,
    "pmal4": 6 * 2,
    "pmal5": 4 * 5 + 3,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_cell_of_a_paper_is_left_out(name: str) -> None:
    """A row that the layout forgot would be missing on the page without a word."""
    found = {
        (cell.grid.title, cell.line.label, cell.place.label) for cell in cells(layout_named(name))
    }
    again = len(layout_named(name).grids[0].places) * (
        name == "pmal4"
    )  # its last row in both halves
    assert len(found) - again == NUM_CELLS[name]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_cell_has_a_mark(name: str) -> None:
    """And the dash where the paper prints nothing, nowhere else."""
    for grid, line, place, _, mark in cells(layout_named(name)):
        printed = grid.printed.get((line.label, place.label))
        assert set(mark.split()) <= MARKS, (line.label, place.label)
        assert (mark == "-") == (printed is None or printed.value is None)


def is_for(trial: PlannedTrial, line: Line, place: Place) -> bool:
    """Whether a cell shows this trial."""
    return (
        trial.split.benchmark == (place.dataset or line.dataset)
        and trial.title == line.title
        and line.backbone in ("", trial.backbone["name"])
        and line.settings.items() <= trial.hyperparameters.items()
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_yes_is_trained_as_published(name: str) -> None:
    """By a method that the spec has, on the lists that the row names. What OSRCI trained, one class
    against the rest, is never a yes: its code normalises no image, and every network here does.
    """
    layout = layout_named(name)
    trials = make_plan(load_spec(layout.spec), DATA).trials
    for _, line, place, protocol, mark in cells(layout):
        if mark == "yes":
            own = [trial for trial in trials if is_for(trial, line, place)]
            protocols = {trial.split.protocol for trial in own}
            assert protocols == {SAME_LISTS.get(protocol, protocol)}, (line.label, place.label)
            assert all(trial.hyperparameters.get("loss") != "one_vs_rest" for trial in own)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name.startswith("pmal")])
def test_a_star_alone_tells_what_was_run_again_from_copies(name: str) -> None:
    """One rule for all rows but PMAL's own: starred values have unpublished settings, others are
    copied, unless it is known from where and how (d) or the method is missing (m).
    """
    for grid, line, place, _, mark in cells(layout_named(name)):
        if grid.name != "extra_params" and line.title != "PMAL" and not {*mark.split()} & {*"dm-"}:
            starred = grid.printed[line.label, place.label].starred
            assert mark.split()[0] == ("s" if starred else "c"), (line.label, place.label)


@pytest.mark.parametrize("theirs", SAME_LISTS)
@pytest.mark.parametrize("dataset", SIX)
def test_lists_that_the_page_calls_the_same_are_the_same(theirs: str, dataset: str) -> None:
    """A row of one protocol may then be trained under the other's name."""
    for index in range(5):
        one = class_split(dataset, theirs, index)
        other = class_split(dataset, SAME_LISTS[theirs], index)
        assert (one.known, one.unknown) == (other.known, other.unknown)


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
