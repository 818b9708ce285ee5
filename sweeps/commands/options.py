"""What several commands take in common."""

import os
from pathlib import Path
from typing import Annotated

import typer

from osr_core.errors import ConfigError
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
    """The user's results. OSR_TRACKING_URI names an MLflow server other than the home's own,
    OSR_STORE a bucket instead of the home's store.

    Raises:
        ConfigError: a URI that cannot be one.
    """
    if "://" in str(home) or ":/" in str(home):
        raise ConfigError(
            f"the home '{home}' must be a folder. For results in a bucket set OSR_STORE to its URI."
        )
    bucket = os.environ.get("OSR_STORE") or None
    if bucket is not None and "://" not in bucket:
        raise ConfigError(f"OSR_STORE must be a URI such as s3://bucket/folder, not '{bucket}'.")
    return Home(home, os.environ.get("OSR_TRACKING_URI") or None, bucket)
