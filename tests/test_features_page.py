"""docs/features.md: a "yes" of ours is one that a command shows."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from sweeps.commands.app import app

PAGE = Path(__file__).parents[1] / "docs" / "features.md"
HEAD, _, *ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("|")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_yes_of_ours_has_a_command_that_exists(row: list[str]) -> None:
    """With these options; what we do not have is said, too."""
    if row[1] == "no":
        return
    found = re.fullmatch(r"yes: `osr (.+)`", row[1])
    assert found is not None, row[1]
    words = shlex.split(found[1])
    tool: click.Command = typer.main.get_command(app)
    while isinstance(tool, click.Group):
        tool, words = tool.commands[words[0]], words[1:]
    tool.make_context("osr", words)


def test_each_tool_has_one_of_three_words_in_each_row() -> None:
    """And the row is whole."""
    assert HEAD == ["what", "osr", "Ray Tune", "SEML", "W&B sweeps", "Optuna", "Hydra"]
    for _, _, *others in ROWS:
        assert len(others) == 5
        assert set(others) <= {"yes", "in part", "no"}
