"""docs/cluster.md, docs/gpus.md and docs/slurm.md name only what there is."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer
from ray.scripts.scripts import cli as ray_cli

from sweeps.commands.app import app

ROOT = Path(__file__).parents[3]
PAGE = "".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("cluster.md", "gpus.md", "slurm.md")
)
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
TOOLS: dict[str, click.Group] = {"osr": typer.main.get_command(app), "ray": ray_cli}  # type: ignore[dict-item]


def typed(line: str) -> list[list[str]]:
    """The commands of osr and ray in a line, also those that others run for them."""
    words = [word for word in shlex.split(line) if not word.startswith("RAY_")]
    found = [command for word in words if word.startswith("osr ") for command in typed(word)]
    for start, word in enumerate(words):
        if word in TOOLS and (start == 0 or words[start - 1] in ("--", "exec")):
            found.append(words[start:])
    return found


COMMANDS = [command for line in LINES for command in typed(line)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_has_these_options(command: list[str]):
    """A reader copies it, on machines that cost money."""
    tool: click.Command = TOOLS[command[0]]
    words = command[1:]
    while isinstance(tool, click.Group):
        tool, words = tool.commands[words[0]], words[1:]
    tool.make_context(command[0], words)


def test_each_file_that_it_names_is_there():
    """Under the root of the repository."""
    named = set(re.findall(r"`?((?:deploy/|cluster)[\w./-]*\.(?:yaml|slurm|env))\b", PAGE))
    assert {"cluster.yaml", "deploy/hosts.yaml", "deploy/sweep.slurm"} <= named
    assert {name for name in named if not (ROOT / name).exists()} == set()
