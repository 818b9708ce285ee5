"""A home whose MLflow database is there already, and empty."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.home import Home


@pytest.fixture
def home_at(tmp_path: Path, with_database: Callable[[Path], Path]) -> Callable[[str], Home]:
    """Makes homes of one test by name."""
    return lambda name: Home(with_database(tmp_path / name))


@pytest.fixture
def home(home_at: Callable[[str], Home]) -> Home:
    """Of one test."""
    return home_at("home")
