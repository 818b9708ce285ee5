"""The blobs as a dataset, and the stages that were run on them, once for all tests."""

from collections.abc import Iterator

import pytest
from blobs import Blobs, Runs

from osr_core.data import READERS


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """Stages on the blobs, which are a dataset for as long as this lasts."""
    READERS["blobs"] = Blobs()
    yield Runs()
    del READERS["blobs"]
