"""MLflow's database and a sweep's experiment in it."""

import contextlib
import os
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment


def experiment_of(uri: str, sweep: str) -> Experiment | None:
    """A sweep's experiment in MLflow, if it has one."""
    return MlflowClient(uri).get_experiment_by_name(sweep)


def make_database(uri: str) -> None:
    """Make MLflow's SQLite file, whole or not at all: MLflow cannot mend one made by half.

    It takes MLflow dozens of steps, and a kill or a full disk may strike between any two.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        MlflowClient(f"sqlite:///{made}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another sweep of this home was faster
            os.link(made, path)
