"""The short form of `make chaos`."""

from pathlib import Path

import pytest

from tests.faults.chaos import Chaos


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_ten_kills_change_nothing(tmp_path: Path):
    """Drivers, workers, raylets and tracking servers, drawn with a seed."""
    chaos = Chaos(tmp_path, kills=10, seed=20)
    assert chaos.run()
    assert chaos.num_made >= 10
