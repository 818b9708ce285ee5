"""A sweep's table in words, ready to be rendered.

Percent to one decimal, the best of ours in bold, the second best in italics. CSV has one line per
number, JSON everything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from analysis.exports.selection import by_row
from analysis.papers.published import PAPERS
from analysis.tables import sheet
from analysis.tables.render import Printable
from analysis.tables.sweep_table import Block, Entry, Heading, Table

CSV_COLUMNS = (
    *("sweep", "dataset", "method", "metric", "source", "mean_percent", "std_percent"),
    *("num_finished", "num_planned", "selection", "starred", "note"),
)


def printable(table: Table) -> Printable:
    """The table for every format; CSV's `source` is "ours" or the paper."""
    return Printable(to_sheet(table), CSV_COLUMNS, tuple(_rows(table)), asdict(table))


def to_sheet(table: Table) -> sheet.Sheet:
    """The table as it is printed."""
    panels = tuple(
        sheet.Panel(
            name=block.dataset,
            title=heading(block),
            headings=("method", *(column.text for column in block.headings)),
            rows=tuple(
                (
                    sheet.cell(row.label),
                    *(
                        sheet.cell(_number(entry, column), entry.mean_percent, entry.rank)
                        for column, entry in zip(block.headings, row.entries, strict=True)
                    ),
                )
                for row in block.rows
            ),
            remarks=(*missing(block), *notes(block), *origins(block)),
            legend=tuple(legend(table, [block], block.mixture)),
            selections=by_row((row.label, row.selection) for row in block.rows),
        )
        for block in table.blocks
    )
    legend_of_all = tuple(legend(table, table.blocks, table.mixture))
    return sheet.Sheet(table.sweep, table.sweep, provenance(table), panels, legend_of_all)


# -- words -----------------------------------------------------------------------------------------


def provenance(table: Table) -> str:
    """What the numbers rest on, in one line."""
    repetitions = f"{_count(table.num_splits, 'split')} x {_count(table.num_seeds, 'seed')}"
    return (
        f"protocol {table.protocol}, recipe {table.recipe}, selection {table.selection}, "
        f"{repetitions}, commit {table.commit}"
    )


def heading(block: Block) -> str:
    """The dataset and its task."""
    return f"{block.dataset}: {block.task}" if block.task else block.dataset


def missing(block: Block) -> list[str]:
    """One line per row whose trials are not all finished."""
    lines = []
    for row in block.rows:
        planned = row.entries[0].num_planned
        if len(row.missing) == planned:
            lines.append(f"{row.label}: all {_count(planned, 'trial')} missing")
        elif row.missing:
            names = [
                f"{trial.dataset}/{trial.split} seed {trial.seed} ({trial.trial_id[:8]})"
                for trial in row.missing
            ]
            lines.append(f"{row.label}: missing {', '.join(names)}")
    return lines


def notes(block: Block) -> list[str]:
    """One line per printed value that was wrong."""
    return [
        f"† {row.label}, {column.text}: {entry.note}"
        for row in block.rows
        for column, entry in zip(block.headings, row.entries, strict=True)
        if entry.note
    ]


def origins(block: Block) -> list[str]:
    """One line per imported trial: whence it comes."""
    return [f"{row.label}, {told}" for row in block.rows for told in row.origins]


def legend(table: Table, blocks: Sequence[Block], mixture: str) -> list[str]:
    """How to read the numbers of some blocks of a table; speaks only of what is there."""
    papers = {column.paper for block in blocks for column in block.headings}
    entries = [entry for block in blocks for row in block.rows for entry in row.entries]
    spread = "mean ± sample standard deviation over splits" if table.num_splits > 1 else "mean"
    lines = [f"Percent; ours: {spread}, best in bold, second best in italics."]
    if any(0 < entry.num_finished < entry.num_planned for entry in entries):
        lines.append("(m/n): m of n trials are finished; not ranked.")
    lines += [f"({paper}): as printed in {PAPERS[paper]}." for paper in PAPERS if paper in papers]
    if any(entry.starred for entry in entries):
        lines.append("A star marks a value that the paper's authors re-ran.")
    return [*lines, mixture] if mixture else lines


def _number(entry: Entry, column: Heading) -> str:
    """'97.8 ± 0.5 (3/5)'; '-' where all trials are missing, '' where a paper prints nothing."""
    if entry.mean_percent is None:
        return "" if column.paper else "-"
    deviation = "" if entry.std_percent is None else f" ± {entry.std_percent:.1f}"
    partial = entry.num_finished < entry.num_planned
    finished = f" ({entry.num_finished}/{entry.num_planned})" if partial else ""
    marks = "*" * entry.starred + "†" * bool(entry.note)
    return f"{entry.mean_percent:.1f}{deviation}{finished}{marks}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- CSV -------------------------------------------------------------------------------------------


def _rows(table: Table) -> Iterator[dict[str, str | int]]:
    for block in table.blocks:
        for row in block.rows:
            for column, entry in zip(block.headings, row.entries, strict=True):
                if column.paper and entry.mean_percent is None:
                    continue
                yield {
                    "sweep": table.sweep,
                    "dataset": block.dataset,
                    "method": row.label,
                    "metric": column.metric,
                    "source": column.paper or "ours",
                    "mean_percent": _four_decimals(entry.mean_percent),
                    "std_percent": _four_decimals(entry.std_percent),
                    "num_finished": entry.num_finished,
                    "num_planned": entry.num_planned,
                    "selection": "" if column.paper else row.selection,
                    "starred": int(entry.starred),
                    "note": entry.note,
                }


def _four_decimals(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.4f}"
