"""Listings: the same rows as a table or blocks for people, or as JSON for programs."""

import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

QUOTED, HELD = re.compile(r"`[^`\n]+`"), "\N{NO-BREAK SPACE}"
LEAST = 24  # letters of a column whose text goes over several lines


def show(rows: Sequence[Mapping[str, Any]], as_json: bool, title: str = "") -> None:
    """Print rows that share their keys: as a table where it fits, otherwise each as a block.

    Only texts go over several lines, at spaces, and only as far as their column stays readable.
    """
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    console = Console()
    told = [{key.replace("_", " "): _text(row[key]) for key in row} for row in rows]
    if not _fits(told, console.width):
        if title:
            console.print(title, style="italic", markup=False, highlight=False)
        blocks(told, console)
        return
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for key, least in _least(told).items():
        whole = least == _width(told, key)
        table.add_column(key, no_wrap=whole, min_width=least, overflow="fold")
    for row in told:
        table.add_row(*row.values())
    console.print(table, markup=False)


def blocks(rows: Sequence[Mapping[str, str]], console: Console) -> None:
    """Print rows one below the other: the first value alone, the others beside their keys."""
    for row in rows:
        (_, name), *others = row.items()
        width = max((cell_len(key) for key, _ in others), default=0)
        console.print(f"\n{name}", style="bold", markup=False, highlight=False, soft_wrap=True)
        for key, value in others:
            head = f"  {key:<{width}}  "
            for line in wrapped(value, console.width, head).splitlines():
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()


def say(text: str, err: bool = False) -> None:
    """Print sentences, on a terminal broken at spaces outside of `commands in backquotes`."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None and stream.isatty():
        width = Console().width
        text = "\n".join(wrapped(line, width) for line in text.splitlines())
    typer.echo(text, err=err)


def wrapped(text: str, width: int, head: str = "") -> str:
    """A text in lines of `width` letters, broken at spaces; the first one begins with `head`.

    What stands in backquotes stays on one line: it may be copied.
    """
    filled = textwrap.fill(
        QUOTED.sub(lambda quoted: quoted[0].replace(" ", HELD), text),
        max(width, len(head) + LEAST // 2),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(HELD, " ")


def _fits(rows: Sequence[Mapping[str, str]], width: int) -> bool:
    """Whether all columns have room beside each other."""
    least = _least(rows)
    return sum(least.values()) + 3 * len(least) + 1 <= width


def _least(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """The letters that each column needs: its longest line, or for a text LEAST of them.

    Words stay whole, but for long paths in the last column.
    """
    keys = list(rows[0]) if rows else []
    least = {}
    for key in keys:
        words = [word for row in rows for word in row[key].split()] + key.split()
        longest = 0 if key == keys[-1] else max(map(cell_len, words))
        least[key] = min(_width(rows, key), max(longest, LEAST))
    return least


def _width(rows: Sequence[Mapping[str, str]], key: str) -> int:
    """Of the longest line; a text may have lines of its own."""
    lines = [line for row in rows for line in row[key].splitlines()]
    return max(map(cell_len, [key, *lines]))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "-" if value is None else str(value)
