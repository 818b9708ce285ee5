"""Rows of text as a Markdown table."""

from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a bar within a cell stays one, and a cell of several lines becomes one line."""
    lines = [heading, ["---"] * len(heading), *rows]
    cells = ([" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
