"""From tracked runs to a paper's tables.

    exports   MLflow -> Parquet files, and what reads them back
    papers    what the two papers print, beside which ours stand
    tables    finished trials -> means, ranks and tests -> text in five formats
    figures   exports -> pictures
    report    all of it on one HTML page
    library   tables and figures for notebooks

Only `exports.write` reads MLflow; everything else needs the Parquet files alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.library.for_notebooks import figure, paper_table

__all__ = ["figure", "paper_table"]


def __getattr__(name: str) -> Any:
    """A name for notebooks, imported when it is first asked for."""
    if name in __all__:
        return getattr(import_module("analysis.library.for_notebooks"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
