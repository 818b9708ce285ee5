"""One renderer for all tables."""

import csv
from dataclasses import replace

import pytest
from handmade import planned_trial, run_of, small_sweep, write_export

from analysis.tables import comparison_sheet, paper_sheet, sweep_sheet
from analysis.tables.comparison import compare
from analysis.tables.paper_table import paper_table
from analysis.tables.render import render
from analysis.tables.sweep_table import table
from osr_core.errors import ConfigError


@pytest.fixture(params=["sweep", "paper", "comparison"])
def printable(request, tmp_path):
    """A table of each kind."""
    if request.param == "sweep":
        return sweep_sheet.printable(table(small_sweep(tmp_path)))
    if request.param == "paper":
        return paper_sheet.printable(paper_table("pmal1", tmp_path))
    trials = [planned_trial(title, split=split) for title in "AB" for split in (0, 1)]
    folder = write_export(tmp_path, trials, [run_of(trial) for trial in trials])
    return comparison_sheet.printable(compare([folder]))


def test_every_row_has_every_column(printable):
    """A value without a column, or a column without its value, would be lost without a word."""
    assert {frozenset(row) for row in printable.rows} == {frozenset(printable.columns)}


def test_csv_has_its_columns_in_order_and_a_line_per_row(printable):
    """Names, then the rows; each says what it rests on, as a changed network or schedule."""
    changed = replace(printable.sheet, provenance="recipe common, changed (backbone.width=0.25)")
    text = render(replace(printable, sheet=changed), "csv")
    assert text.splitlines()[0] == ",".join([*printable.columns, "rests_on"])
    lines = list(csv.DictReader(text.splitlines()))
    assert len(lines) == len(printable.rows)
    assert {line["rests_on"] for line in lines} == {changed.provenance}


def test_wrong_format_is_refused_with_the_right_ones(printable):
    """Whatever the table."""
    with pytest.raises(ConfigError, match="Did you mean 'latex'"):
        render(printable, "latx")
    with pytest.raises(ConfigError, match="format 'word' does not exist"):
        render(printable, "word")
