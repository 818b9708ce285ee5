"""The run without faults that all fault tests are compared with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Sweep, family, kill_all

NAME = "ohne Störung"  # a space and an umlaut in the path of its home


@pytest.fixture(scope="session")
def reference(made_once: Callable[..., Path], with_database: Callable[[Path], Path]) -> Sweep:
    """It has ended well."""

    def make(folder: Path) -> None:
        done = Sweep(with_database(folder / NAME)).finish()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "5 of 5 trials done" in done.stdout

    return Sweep(made_once("reference", make) / NAME)


@pytest.fixture
def sweep(tmp_path: Path, with_database: Callable[[Path], Path]) -> Iterator[Sweep]:
    """A sweep to break; nothing of it outlives its test."""
    made = Sweep(with_database(tmp_path / "home"))
    yield made
    for driver in made.drivers:
        kill_all(family(driver.pid))
