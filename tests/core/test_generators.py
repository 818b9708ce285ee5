"""torch's random generators and what seeds them."""

import torch

from osr_core.generators import seeded


def test_seeded_depends_on_the_whole_identity() -> None:
    """Two epochs of one fit draw different dropout."""

    def draw(*identity: object) -> float:
        with seeded(*identity, device=torch.device("cpu")):
            return float(torch.rand(()))

    assert draw(1, "epoch", 0) == draw(1, "epoch", 0)
    assert len({draw(1, "epoch", 0), draw(1, "epoch", 1), draw(2, "epoch", 0)}) == 3
