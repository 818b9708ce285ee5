"""What several commands take in common."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sweeps.home import Home

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="OSR_HOME", help="Folder of all results.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-root", envvar="OSR_DATA", help="Folder with the data sets' files."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_HOME = Path("osr-home")


def at(home: Path) -> Home:
    """The user's results; OSR_TRACKING_URI names an MLflow server other than the home's own."""
    return Home(home, os.environ.get("OSR_TRACKING_URI") or None)
