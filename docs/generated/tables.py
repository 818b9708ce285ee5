"""Rows of text as a Markdown table."""

from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a bar within a cell stays one, and a cell of several lines becomes one line.

    On a phone its cells stand below each other (docs/assets/tables.css).
    """
    lines = [heading, ["---"] * len(heading), *rows]
    cells = ([" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines)
    text = "".join(f"| {' | '.join(line)} |\n" for line in cells)
    return f'\n<div class="stacked" markdown>\n\n{text}\n</div>\n'
