"""The short forms of `make chaos`."""

from pathlib import Path

import pytest

from tests.faults.chaos import Chaos
from tests.faults.harness import Sweep

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


@pytest.mark.brief
def test_a_few_kills_change_nothing(tmp_path: Path, reference: Sweep):
    """One of each kind that a user is likely to meet, in the order that this seed draws."""
    chaos = Chaos(tmp_path, reference, kills=3, seed=184)
    chaos.run()
    assert chaos.made == {"worker": 1, "driver": 1, "tracking server": 1}


def test_ten_kills_change_nothing(tmp_path: Path, reference: Sweep):
    """Drivers, workers, raylets and tracking servers, drawn with a seed."""
    chaos = Chaos(tmp_path, reference, kills=10, seed=43)
    chaos.run()
    assert chaos.num_made == 10
    assert len(chaos.made) == 4, "the seed drew too few kinds of victims"
