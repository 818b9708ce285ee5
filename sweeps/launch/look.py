"""What a sweep looks like on a terminal: a bar, and below it lines that begin with a word."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR, WORD = 20, 10  # letters
NO_ETA = "not known before a stage has ended"


class Line(NamedTuple):
    """What stands behind a word."""

    word: str
    text: str
    is_list: bool = False  # of what may be hundreds: cut off at the right edge, where others wrap


def picture(name: str, done: int, total: int, lines: Iterable[Line]) -> RenderableType:
    """A sweep of which `done` of `total` stages are done."""
    head = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(1, total), completed=done, width=BAR)
    head.add_row(Text(name, style="bold"), bar, f"{done}/{total}")
    body = Table.grid()
    body.add_column(width=WORD + 3)
    body.add_column()
    for line in lines:
        in_one = Text(" ".join(line.text.split()))
        if line.is_list:
            in_one.no_wrap, in_one.overflow = True, "ellipsis"
        body.add_row(f"  {line.word}", in_one)
    return Group(head, body)
