"""The blobs as a dataset, and the stages that were run on them, once for all tests."""

from collections.abc import Iterator

import pytest
from blobs import Blobs, Runs

from osr_core.data import READERS
from osr_core.execution import Result


@pytest.fixture(scope="session")
def left() -> dict[str, Result]:
    """What stages have left in this process, by their ids: equal ones leave the same."""
    return {}


@pytest.fixture(scope="module")
def runs(left: dict[str, Result]) -> Iterator[Runs]:
    """Stages on the blobs, which are a dataset for as long as this lasts."""
    READERS["blobs"] = Blobs()
    yield Runs(left)
    del READERS["blobs"]
