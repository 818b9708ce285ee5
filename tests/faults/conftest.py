"""The run without faults that all fault tests are compared with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Sweep, family, kill_all


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Its home has a space and an umlaut in its path."""
    sweep = Sweep(tmp_path_factory.mktemp("reference") / "ohne Störung")
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 trials done" in done.stdout
    return sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    """A sweep to break; nothing of it outlives its test."""
    made = Sweep(tmp_path / "home")
    yield made
    for driver in made.drivers:
        kill_all(family(driver.pid))
