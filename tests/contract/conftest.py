"""The blobs as a dataset, the stages that were run on them, once for all tests, and graphs."""

from collections.abc import Iterator

import pytest
import torch
from blobs import Blobs, Runs
from recorder import Recorder

from osr_core.data import READERS
from osr_core.graphs import CAPTURED_BY
from osr_core.methods import learner


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """Stages on the blobs, which are a dataset for as long as this lasts."""
    READERS["blobs"] = Blobs()
    yield Runs()
    del READERS["blobs"]


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Optimisers and graphs as on a GPU; what each fit has asked of its stand-in."""
    made: list[Recorder] = []

    def make(device: torch.device) -> Recorder:
        made.append(Recorder())
        return made[-1]

    monkeypatch.setattr(learner, "FUSED_ON", {"cpu"})
    monkeypatch.setitem(CAPTURED_BY, "cpu", make)
    return made
