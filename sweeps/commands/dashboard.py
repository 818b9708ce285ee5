"""Optuna's dashboard on a sweep's searches, where it is installed."""

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from osr_core.errors import ConfigError
from sweeps.commands.ui import check_free

DASHBOARD = "optuna_dashboard"
HOST = "127.0.0.1"


def show_dashboard(searches: Iterable[Mapping[str, Any]], port: int) -> None:
    """Open the dashboard on a copy of what is said of some searches, until Ctrl-C.

    Raises:
        ConfigError: it is not installed, or the port is taken.
    """
    if importlib.util.find_spec(DASHBOARD) is None:
        raise ConfigError(
            "Optuna's dashboard is not installed: pip install 'osr-sweeps[dashboard]'"
        )
    check_free(HOST, port)
    from sweeps.search.journal import write_journal  # Optuna takes a second to import

    with TemporaryDirectory(prefix="osr-dashboard-") as folder:
        storage = write_journal(Path(folder) / "searches.journal", searches)
        typer.echo(f"Optuna's dashboard: http://{HOST}:{port} (Ctrl-C ends it)")
        importlib.import_module(DASHBOARD).run_server(storage, host=HOST, port=port)
