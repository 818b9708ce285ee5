"""The run without faults that all fault tests are compared with."""

from pathlib import Path

import pytest

from tests.faults.harness import Sweep


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Its home has a space and an umlaut in its path."""
    sweep = Sweep(tmp_path_factory.mktemp("reference") / "ohne Störung")
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    return sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """A sweep to break."""
    return Sweep(tmp_path / "home")
