"""MLflow's own database, where no server is named."""

import contextlib
import os
import tempfile
from pathlib import Path

from mlflow import MlflowClient


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
