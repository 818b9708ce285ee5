"""The papers' tables as they are printed: their cells, and what a cell is expected to say."""

from analysis.tables.paper_sheet import printable
from analysis.tables.paper_table import paper_table
from analysis.tables.render import render


def text_of(name, folder, format="markdown"):
    """A paper's table made from the exports under `folder`."""
    return render(printable(paper_table(name, folder)), format)


def printed_cells(text):
    """Cells of the pipe tables of a Markdown text: by grid, row and column."""
    cells, grid, header = {}, "", []
    for line in text.splitlines():
        if line.startswith("## "):
            grid, header = line[3:], []
        elif line.startswith("| "):
            values = [value.strip() for value in line.strip("|").split(" | ")]
            if not header:
                header = values
            elif not set(line) <= set("|- "):
                cells |= {(grid, values[0], h): v for h, v in zip(header, values, strict=True)}
    return cells


def rows_of(name, folder):
    """The cells of a table made from an export under `folder`."""
    return printed_cells(text_of(name, folder))


def marked(text, column, value):
    """`text` with the mark that the value has in its column: bold the best, italic the second."""
    best = sorted({v for v in column if v is not None}, reverse=True)
    stars = {0: "**", 1: "*"}.get(best.index(value), "")
    return f"{stars}{text}{stars}"


def expected(column, value, decimals, star=False):
    """A cell whose ours and published are both `value`."""
    if value is None:
        return "- (-)"
    spread = f" ± {0.001 * 2**0.5 * (1 if decimals == 3 else 100):.{decimals}f}"
    ours = marked(f"{value:.{decimals}f}{spread}", column, value)
    theirs = marked(f"{value:.{decimals}f}", column, value) + r"\*" * star
    return f"{ours} ({theirs}, {0:+.{decimals}f})"
