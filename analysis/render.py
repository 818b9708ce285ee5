"""A table as text: Markdown that also reads well on a terminal, LaTeX, CSV and JSON.

Markdown and LaTeX show percent to one decimal, the best of ours in bold, the second best in
italics. CSV has one line per number, JSON everything.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from analysis.model import Block, Entry, Heading, Table
from analysis.published import PAPERS
from osr_core.errors import ConfigError, unknown_name

MARKDOWN_EMPHASIS = ("", "**", "*")  # by rank
CSV_COLUMNS = (
    *("sweep", "dataset", "method", "metric", "source", "mean_percent", "std_percent"),
    *("num_finished", "num_planned", "starred", "note"),
)
LATEX_EMPHASIS = ("{}", r"\textbf{{{}}}", r"\textit{{{}}}")
LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def render(table: Table, format: str) -> str:
    """The text of a table in one of the formats of RENDERERS.

    Raises:
        ConfigError: no such format; says which there are.
    """
    if format not in RENDERERS:
        raise ConfigError(unknown_name("format", format, RENDERERS))
    return RENDERERS[format](table)


def to_markdown(table: Table) -> str:
    """Headings and aligned pipe tables."""
    lines = [f"# {table.sweep}", "", provenance(table)]
    for block in table.blocks:
        lines += ["", f"## {heading(block)}", "", *_pipe_table(block)]
        if remarks := [f"- {remark}" for remark in [*missing(block), *notes(block)]]:
            lines += ["", *remarks]
    return "\n".join([*lines, "", *legend(table, table.blocks), ""])


def to_latex(table: Table) -> str:
    """One floating table per dataset with the rules of booktabs; remarks stand below it."""
    return "\n".join(_float(table, block) for block in table.blocks)


def to_csv(table: Table) -> str:
    """One line per number in percent; `source` is "ours" or the paper."""
    out = io.StringIO()
    lines = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    lines.writeheader()
    lines.writerows(_records(table))
    return out.getvalue()


def to_json(table: Table) -> str:
    """The model of the table with every digit."""
    return json.dumps(asdict(table), indent=2, ensure_ascii=False) + "\n"


RENDERERS: dict[str, Callable[[Table], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}


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


def legend(table: Table, blocks: Sequence[Block]) -> list[str]:
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
    return lines


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


def _records(table: Table) -> Iterator[dict[str, str | int]]:
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
                    "starred": int(entry.starred),
                    "note": entry.note,
                }


def _four_decimals(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.4f}"


# -- Markdown --------------------------------------------------------------------------------------


def _pipe_table(block: Block) -> Iterator[str]:
    labels = [row.label.replace("|", r"\|") for row in block.rows]
    columns = [_left_aligned("method", labels)]
    columns += [
        _left_aligned(column.text, _pointed([row.entries[i] for row in block.rows], column))
        for i, column in enumerate(block.headings)
    ]
    for cells in zip(*columns, strict=True):
        yield f"| {' | '.join(cells)} |"


def _left_aligned(title: str, cells: Sequence[str]) -> list[str]:
    width = max(map(len, [title, *cells]))
    return [title.ljust(width), "-" * width, *(cell.ljust(width) for cell in cells)]


def _pointed(entries: Sequence[Entry], column: Heading) -> list[str]:
    """The numbers of a column, indented so that their decimal points are below each other."""
    stars = [MARKDOWN_EMPHASIS[entry.rank] for entry in entries]
    numbers = [_number(entry, column) for entry in entries]
    starts = [
        len(f"{star}{number.partition('.')[0]}")
        for star, number in zip(stars, numbers, strict=True)
    ]
    return [
        " " * (max(starts) - start) + star + number + star
        for start, star, number in zip(starts, stars, numbers, strict=True)
    ]


# -- LaTeX -----------------------------------------------------------------------------------------


def _float(table: Table, block: Block) -> str:
    caption = [f"{table.sweep}, {heading(block)} ({provenance(table)}).", *legend(table, [block])]
    remarks = [_escaped(remark) for remark in [*missing(block), *notes(block)]]
    header = ["Method", *(column.text for column in block.headings)]
    rows = [
        [_escaped(row.label)]
        + [
            LATEX_EMPHASIS[entry.rank].format(_escaped(_number(entry, column)))
            for column, entry in zip(block.headings, row.entries, strict=True)
        ]
        for row in block.rows
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_escaped(' '.join(caption))}}}",
            rf"  \label{{tab:{table.sweep}-{block.dataset}}}",
            rf"  \begin{{tabular}}{{l{'c' * len(block.headings)}}}",
            r"    \toprule",
            f"    {' & '.join(map(_escaped, header))} \\\\",
            r"    \midrule",
            *(f"    {' & '.join(cells)} \\\\" for cells in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(rf"  \par{{\footnotesize {remark}\par}}" for remark in remarks),
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return text.translate(LATEX_SPECIAL)
