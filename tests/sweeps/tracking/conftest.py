"""A home for each test that asks for one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.home import Home


@pytest.fixture
def home(tmp_path: Path, with_database: Callable[[Path], Path]) -> Home:
    """Its MLflow database is there, and empty."""
    return Home(with_database(tmp_path / "home"))
