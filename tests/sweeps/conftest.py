"""One real sweep for all tests that look at its results."""

from pathlib import Path

import pytest

from tests.sweeps.command import TINY, run_osr


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The tiny sweep's home after one launch, and what was printed."""
    home = tmp_path_factory.mktemp("tiny") / "home"
    done = run_osr("run", TINY, home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return home, done.stdout
