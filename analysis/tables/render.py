"""One renderer for every table: Markdown, LaTeX and HTML (see `sheet`), CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.tables.sheet import Sheet, to_html, to_latex, to_markdown
from osr_core.errors import ConfigError, unknown_name

RESTS_ON = "rests_on"


@dataclass(frozen=True)
class Printable:
    """A table in the three shapes that its formats need."""

    sheet: Sheet  # for people
    columns: Sequence[str]  # of the flat rows, in CSV's order
    rows: Sequence[Mapping[str, str | int | float | None]]  # flat, with all `columns`: CSV
    values: Mapping[str, Any]  # nested, with every digit: JSON


def render(table: Printable, format: str) -> str:
    """The text of a table in one of FORMATS.

    Raises:
        ConfigError: no such format; says which there are.
    """
    if format not in FORMATS:
        raise ConfigError(unknown_name("format", format, FORMATS))
    return FORMATS[format](table)


def _to_csv(table: Printable) -> str:
    """The last column has in each line what stands above the table in the other formats."""
    out = io.StringIO()
    writer = csv.DictWriter(out, (*table.columns, RESTS_ON), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, RESTS_ON: table.sheet.provenance} for row in table.rows)
    return out.getvalue()


def _to_json(table: Printable) -> str:
    return json.dumps(table.values, indent=2, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Printable], str]] = {
    "markdown": lambda table: to_markdown(table.sheet),
    "latex": lambda table: to_latex(table.sheet),
    "html": lambda table: to_html(table.sheet),
    "csv": _to_csv,
    "json": _to_json,
}
