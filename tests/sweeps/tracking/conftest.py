"""A home whose MLflow database is there already: MLflow takes seconds to make its tables."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.home import Home
from sweeps.tracking.database import make_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    make_database(f"sqlite:///{path}")
    return path


@pytest.fixture
def home_at(tmp_path: Path, empty_database: Path) -> Callable[[str], Home]:
    """Makes homes of one test by name."""

    def make(name: str) -> Home:
        made = Home(tmp_path / name)
        made.database.parent.mkdir(parents=True)
        shutil.copy(empty_database, made.database)
        return made

    return make


@pytest.fixture
def home(home_at: Callable[[str], Home]) -> Home:
    """Of one test."""
    return home_at("home")
