"""Reference of the packaged specs, from the comments at their heads."""

import re
from pathlib import Path

from tables import table

from sweeps.planning.spec import packaged_specs
from sweeps.planning.yaml_values import read_yaml

OPENING = """\
# Packaged specs

`osr run NAME` takes one of these by the name of its file; its sweep is called as the third column
says.
The file says more: it lies in `sweeps/specs/`, and can be copied and changed.

"""
HEADING = ("spec", "what it is", "its sweep", "datasets", "splits")


def page() -> str:
    """A row for each, with the first sentence of its comment."""
    return OPENING + table(HEADING, map(row, packaged_specs().items()))


def row(named: tuple[str, Path]) -> tuple[str, ...]:
    """A spec's name, meaning, sweep, datasets, and how many splits of each."""
    name, path = named
    spec = read_yaml(path)
    datasets = ", ".join(f"`{each}`" for each in spec["datasets"])
    return f"`{name}`", purpose(path), f"`{spec['name']}`", datasets, str(len(spec["splits"]))


def purpose(path: Path) -> str:
    """The first sentence of the comment at the head of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line.removeprefix("#").strip() for line in lines[: first_without(lines)]]
    return re.split(r"(?<=[.?])\s(?=[A-Z])", " ".join(head))[0]


def first_without(lines: list[str]) -> int:
    """The number of the first line that is no comment."""
    return next(number for number, line in enumerate(lines) if not line.startswith("#"))
