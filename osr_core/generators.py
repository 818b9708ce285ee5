"""torch's random generators, seeded by what their draws are for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from osr_core.identity import seed_for


def generator_for(*identity: Any, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by `seed_for`; the global generators stay untouched."""
    return torch.Generator(device=device).manual_seed(seed_for(*identity))


@contextmanager
def seeded(*identity: Any, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators from an identity, and put them back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed_for(*identity))
        yield
