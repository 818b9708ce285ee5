"""A printed table of any kind, and its text as Markdown, LaTeX and HTML.

A sheet has panels; a panel has headings and rows of cells; a cell is a few parts, each with a rank
that shows: the best in bold, the second best in italics. Markdown also reads well on a terminal.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.exports.selection import is_oracle

MARKDOWN_EMPHASIS = ("", "**", "*")  # by rank
LATEX_EMPHASIS = ("{}", r"\textbf{{{}}}", r"\textit{{{}}}")
HTML_EMPHASIS = ("{}", "<strong>{}</strong>", "<em>{}</em>")
LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "✓": r"$\checkmark$",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class Part:
    """Text of one emphasis."""

    text: str
    rank: int = 0  # 1 best, 2 second best, 0 neither
    aside: bool = False  # HTML puts it below, smaller


@dataclass(frozen=True)
class Cell:
    """What stands where a row meets a column."""

    parts: tuple[Part, ...]
    value: float | None = None  # what a column is sorted by; None for words and gaps
    href: str = ""  # where HTML leads to from here

    @property
    def text(self) -> str:
        """Without emphasis."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True)
class Panel:
    """One grid of cells."""

    name: str  # for labels and links
    title: str
    headings: tuple[str, ...]  # the first is of the rows' names
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...]  # about single rows and values
    legend: tuple[str, ...]  # how to read this panel's numbers
    selections: tuple[str, ...] = ()  # which rows a search has chosen, and by what


@dataclass(frozen=True)
class Sheet:
    """What is printed."""

    name: str
    title: str
    provenance: str  # what the numbers rest on
    panels: tuple[Panel, ...]
    legend: tuple[str, ...]  # of all panels together


def cell(text: str, value: float | None = None, rank: int = 0) -> Cell:
    """A cell of one part."""
    return Cell((Part(text, rank),), value)


def to_markdown(sheet: Sheet) -> str:
    """Headings and aligned pipe tables."""
    lines = [f"# {sheet.title}", "", sheet.provenance]
    for panel in sheet.panels:
        lines += ["", f"## {panel.title}", ""]
        if panel.selections:
            lines += [*(f"- {_literal(line)}" for line in panel.selections), ""]
        lines += _pipe_table(panel)
        if panel.remarks:
            lines += ["", *(f"- {_literal(remark)}" for remark in panel.remarks)]
    return "\n".join([*lines, "", *map(_literal, sheet.legend), ""])


def to_latex(sheet: Sheet) -> str:
    """One floating table per panel with the rules of booktabs; remarks stand below it."""
    return "\n".join(_float(sheet, panel) for panel in sheet.panels)


def to_html(sheet: Sheet) -> str:
    """A section that stands in any page; cells carry `data-value` to be sorted by."""
    return "\n".join(
        [
            f'<section id="{html.escape(sheet.name)}">',
            f"<h2>{html.escape(sheet.title)}</h2>",
            f'<p class="provenance{_oracle(sheet.provenance)}">{html.escape(sheet.provenance)}</p>',
            panels_to_html(sheet),
            "</section>",
            "",
        ]
    )


def panels_to_html(sheet: Sheet) -> str:
    """What stands below a sheet's title."""
    lines = []
    for panel in sheet.panels:
        lines.append(f"<h3>{html.escape(panel.title)}</h3>")
        lines += [
            f'<p class="selection{_oracle(line)}">{html.escape(line)}</p>'
            for line in panel.selections
        ]
        lines += _html_table(panel)
        if panel.remarks:
            items = "".join(f"<li>{html.escape(remark)}</li>" for remark in panel.remarks)
            lines.append(
                f"<details><summary>{_count(len(panel.remarks))}</summary><ul>{items}</ul></details>"
            )
    legend = html.escape(" ".join(sheet.legend))
    return "\n".join([*lines, f'<p class="legend">{legend}</p>'])


# -- Markdown --------------------------------------------------------------------------------------


def _pipe_table(panel: Panel) -> list[str]:
    names = [_literal(row[0].text) for row in panel.rows]
    columns = [_left_aligned(panel.headings[0], names)]
    for number, heading in enumerate(panel.headings[1:], start=1):
        columns.append(_left_aligned(heading, _pointed([row[number] for row in panel.rows])))
    return [f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)]


def _left_aligned(title: str, cells: Sequence[str]) -> list[str]:
    width = max(map(len, [title, *cells]))
    return [title.ljust(width), "-" * width, *(text.ljust(width) for text in cells)]


def _pointed(cells: Sequence[Cell]) -> list[str]:
    """The texts of a column, indented so that their first decimal points are below each other."""
    texts = ["".join(map(_emphasised, one.parts)) for one in cells]
    starts = [len(text.partition(".")[0]) for text in texts]
    return [" " * (max(starts) - start) + text for start, text in zip(starts, texts, strict=True)]


def _emphasised(part: Part) -> str:
    stars = MARKDOWN_EMPHASIS[part.rank]
    return f"{stars}{_literal(part.text)}{stars}"


def _literal(text: str) -> str:
    """What Markdown would take for a mark of its own."""
    return text.replace("|", r"\|").replace("*", r"\*")


# -- LaTeX -----------------------------------------------------------------------------------------


def _float(sheet: Sheet, panel: Panel) -> str:
    caption = " ".join([f"{sheet.title}, {panel.title} ({sheet.provenance}).", *panel.legend])
    rows = [
        " & ".join(
            "".join(LATEX_EMPHASIS[part.rank].format(_escaped(part.text)) for part in one.parts)
            for one in row
        )
        for row in panel.rows
    ]
    header = [panel.headings[0].capitalize(), *panel.headings[1:]]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_escaped(caption)}}}",
            rf"  \label{{tab:{sheet.name}-{panel.name}}}",
            rf"  \begin{{tabular}}{{l{'c' * (len(panel.headings) - 1)}}}",
            r"    \toprule",
            f"    {' & '.join(map(_escaped, header))} \\\\",
            r"    \midrule",
            *(f"    {row} \\\\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(
                rf"  \par{{\footnotesize {_escaped(line)}\par}}"
                for line in (*panel.selections, *panel.remarks)
            ),
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return text.translate(LATEX_SPECIAL)


# -- HTML ------------------------------------------------------------------------------------------


def _html_table(panel: Panel) -> list[str]:
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in panel.headings)
    lines = ['<div class="scroll"><table>', f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for first, *others in panel.rows:
        name = f'<th scope="row">{html.escape(first.text)}</th>'
        row = f'<tr class="oracle">{name}' if is_oracle(first.text) else f"<tr>{name}"
        lines.append(f"{row}{''.join(map(_html_cell, others))}</tr>")
    return [*lines, "</tbody></table></div>"]


def _oracle(text: str) -> str:
    """A class besides others, of what test images have chosen; a page shows it in red."""
    return " oracle" if is_oracle(text) else ""


def _html_cell(one: Cell) -> str:
    value = "" if one.value is None else f' data-value="{one.value:.6f}"'
    inner = "".join(_html_part(part) for part in one.parts if not part.aside)
    if aside := "".join(_html_part(part) for part in one.parts if part.aside):
        inner += f"<small>{aside}</small>"
    if one.href:
        inner = f'<a href="{html.escape(one.href)}">{inner}</a>'
    return f"<td{value}>{inner}</td>"


def _html_part(part: Part) -> str:
    return HTML_EMPHASIS[part.rank].format(html.escape(part.text))


def _count(number: int) -> str:
    return "1 remark" if number == 1 else f"{number} remarks"
