"""A paper's table in words, ready to be rendered.

A cell reads "ours ± deviation (published, difference)" in the paper's own unit and decimals. Best
and second best are marked among ours and, separately, among the published values, as papers do.
"""

from collections.abc import Iterator

from analysis.exports.selection import ORACLE, by_row, is_oracle
from analysis.papers.published import PAPERS
from analysis.tables import sheet
from analysis.tables.paper_table import Filled, FilledGrid, FilledLine, PaperTable
from analysis.tables.render import Printable
from osr_core.wording import in_words

CSV_COLUMNS = (
    *("table", "grid", "row", "column", "ours", "std", "published", "difference"),
    *("num_finished", "num_planned", "selection", "rank", "published_rank", "starred", "note"),
)
ALTERED = "‡"  # behind what is no reproduction
NOTHING = "-"  # as both papers print a gap


def printable(table: PaperTable) -> Printable:
    """The table for every format; JSON also has the trials behind each cell."""
    rows = tuple(_rows(table))
    values = {
        "table": table.layout.name,
        "title": table.layout.title,
        "sweep": table.layout.sweep,
        "provenance": provenance(table),
        "mixture": table.mixture,
        "places": rows,
        "trials": {
            f"{line.label}/{place.label}": filled.trial_ids
            for grid in table.grids
            for line in grid.lines
            for place, filled in zip(grid.layout.places, line.filled, strict=True)
        },
    }
    return Printable(to_sheet(table), CSV_COLUMNS, rows, values)


def to_sheet(table: PaperTable) -> sheet.Sheet:
    """The table as it is printed."""
    layout = table.layout
    legend = (
        "Each place: ours (published, difference), ours as mean ± sample standard deviation over "
        "splits; best in bold, second best in italics, ours and published each on their own; "
        f"{NOTHING}: nothing there.",
        f"Published: {PAPERS[layout.paper].split(', Table')[0]}.",
        *layout.legend,
        *filter(None, [table.mixture]),
    )
    panels = tuple(_panel(table, grid, legend) for grid in table.grids)
    return sheet.Sheet(layout.name, layout.title, provenance(table), panels, legend)


def provenance(table: PaperTable) -> str:
    """What ours rests on, in one line."""
    if not table.exported:
        return (
            f"nothing of ours: sweep {table.layout.sweep} is not exported; run "
            f"`osr run {table.layout.spec}`"
        )
    return (
        f"sweep {table.layout.sweep}, protocol {table.protocol}, recipe {table.recipe}, selection "
        f"{table.selection}, n = {table.num_splits} splits x {table.num_seeds} seeds, commit "
        f"{table.commit}"
    )


def missing(table: PaperTable, grid: FilledGrid) -> Iterator[str]:
    """What of ours is not there, by row, and the command that fills it."""
    if not table.exported:
        return
    for line in grid.lines:
        gaps = [
            f"{place.label} {filled.num_finished}/{filled.num_planned}"
            if filled.num_planned
            else f"{place.label} not in the sweep"
            for place, filled in zip(grid.layout.places, line.filled, strict=True)
            if filled.missing or not filled.num_planned
        ]
        if not gaps:
            continue
        planned = any(filled.num_planned for filled in line.filled)
        what = f"missing {', '.join(gaps)}" if planned else "not in the sweep"
        yield f"{line.label}: {what}; fill with `osr run {table.layout.spec}`"


def _panel(table: PaperTable, grid: FilledGrid, legend: tuple[str, ...]) -> sheet.Panel:
    rows = tuple(
        (
            sheet.cell(_name(line)),
            *map(sheet.cell, line.features),
            *(_cell(filled, table.layout.decimals) for filled in line.filled),
        )
        for line in grid.lines
    )
    columns = (place.label for place in grid.layout.places)
    headings = (grid.layout.rows, *grid.layout.features, *columns)
    remarks = [*missing(table, grid), *_remarks(grid)]
    if table.altered:
        remarks.append(
            f"{ALTERED} not as the paper's spec has it ({in_words(table.altered)}): no difference "
            "to a published value is given."
        )
    selections = by_row(
        (line.label, filled.selection)
        for line in grid.lines
        for filled in line.filled
        if filled.num_planned
    )
    layout = grid.layout
    return sheet.Panel(
        layout.name, layout.title, headings, rows, tuple(remarks), legend, selections
    )


def _name(line: FilledLine) -> str:
    """A line's label; an oracle is named as in a sweep's own table."""
    by_oracle = any(is_oracle(filled.selection) for filled in line.filled)
    return f"{line.label} ({ORACLE})" if by_oracle else line.label


def _remarks(grid: FilledGrid) -> Iterator[str]:
    for line in grid.lines:
        yield from (f"{line.label}: {remark}" for remark in line.remarks)
        for place, filled in zip(grid.layout.places, line.filled, strict=True):
            if filled.note:
                yield f"† {line.label}, {place.label}: {filled.note}"


def _cell(filled: Filled, decimals: int) -> sheet.Cell:
    """Ours ± deviation (published, difference)."""
    ours = _text(filled.ours, decimals)
    if filled.std is not None:
        ours += f" ± {filled.std:.{decimals}f}"
    if filled.altered and filled.ours is not None:
        ours += ALTERED
    if 0 < filled.num_finished < filled.num_planned:
        ours += f" ({filled.num_finished}/{filled.num_planned})"
    marks = "*" * filled.starred + "†" * bool(filled.note)
    parts = [
        sheet.Part(ours, filled.rank),
        sheet.Part(" (", aside=True),
        sheet.Part(_text(filled.printed, decimals), filled.printed_rank, aside=True),
        sheet.Part(marks, aside=True),
    ]
    if filled.difference is not None:
        shown = round(filled.difference, decimals) + 0.0  # no -0.0
        parts.append(sheet.Part(f", {shown:+.{decimals}f}", aside=True))
    value = filled.ours if isinstance(filled.ours, float) else None
    return sheet.Cell((*parts, sheet.Part(")", aside=True)), value)


def _text(value: float | str | None, decimals: int) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:.{decimals}f}"


def _rows(table: PaperTable) -> Iterator[dict[str, str | int | float | None]]:
    for grid in table.grids:
        for line in grid.lines:
            for place, filled in zip(grid.layout.places, line.filled, strict=True):
                yield {
                    "table": table.layout.name,
                    "grid": grid.layout.name,
                    "row": line.label,
                    "column": place.label,
                    "published": filled.printed,
                    "difference": filled.difference,
                    "published_rank": filled.printed_rank,
                    "starred": int(filled.starred),
                    "ours": filled.ours,
                    "std": filled.std,
                    "num_finished": filled.num_finished,
                    "num_planned": filled.num_planned,
                    "selection": filled.selection,
                    "rank": filled.rank,
                    "note": filled.note,
                }
