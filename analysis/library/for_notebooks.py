"""The papers' tables as Markdown, and all figures as objects."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPORTS = Path("osr-home", "exports")  # where `osr` leaves them by default


class TableText(str):
    """A table as Markdown; a notebook shows it as a table."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def paper_table(name: str, exports: str | Path = EXPORTS) -> TableText:
    """A paper's table, ours beside what it prints, as `osr table` prints it.

    Args:
        name: cac1 to cac4, pmal1 to pmal5.
        exports: the folder that holds a folder for each exported sweep.

    Raises:
        ConfigError: no such table. DataError: the sweep that fills it is not exported.
    """
    from analysis.tables import paper_sheet, paper_table
    from analysis.tables.render import render

    filled = paper_table.paper_table(name, Path(exports))
    return TableText(render(paper_sheet.printable(filled), "markdown"))


def figure(name: str, exports: str | Path = EXPORTS, **about: Any) -> "Figure":
    """A figure as `osr figure` draws it, to be looked at or changed.

    Args:
        name: roc, histogram, confusion, search, generated, cac2 to cac5, pmal4a to pmal6.
        exports: the folder that holds a folder for each exported sweep.
        about: `sweep`, `trial`, `search`, `accepted` and `images`, as of `figures.draw.made`.

    Raises:
        ConfigError: no such figure, trial or search. DataError: what it shows is not exported.
    """
    from analysis.figures.draw import made

    return made(name, Path(exports), **about)
