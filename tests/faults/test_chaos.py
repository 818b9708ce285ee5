"""The short form of `make chaos`."""

from pathlib import Path

import pytest

from tests.faults.chaos import Chaos
from tests.faults.harness import Sweep


@pytest.mark.timeout(1200)
def test_ten_kills_change_nothing(tmp_path: Path, reference: Sweep):
    """Drivers, workers, raylets and tracking servers, drawn with a seed."""
    chaos = Chaos(tmp_path, reference, kills=10, seed=20)
    chaos.run()
    assert chaos.num_made >= 10
    assert len(chaos.made) >= 3, "the seed drew too few kinds of victims"
