"""One real sweep for all tests that look at its results."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sweeps.command import TINY, run_osr


@pytest.fixture(scope="session")
def tiny(made_once: Callable[..., Path]) -> tuple[Path, str]:
    """The tiny sweep's home after one launch, and what was printed."""

    def make(folder: Path) -> None:
        done = run_osr("run", TINY, home=folder / "home")
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "printed.txt").write_text(done.stdout)

    folder = made_once("tiny", make)
    return folder / "home", (folder / "printed.txt").read_text()
