"""Reference of the `osr` command, from the declarations that parse what users type."""

import re

import typer
from typer.cli import get_docs_for_click

from sweeps.commands.app import app

OPENING = """\
`osr COMMAND --help` prints each of these sections on a terminal.
Exit codes are listed in [Run, stop, go on](../running.md#exit-codes).

"""


def page() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(
        obj=command, ctx=typer.Context(command, info_name="osr"), name="osr", title="Commands"
    )
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", text)  # sections of their own follow
    heading, _, rest = text.partition("\n\n")
    return f"{heading}\n\n{OPENING}{rest}"
