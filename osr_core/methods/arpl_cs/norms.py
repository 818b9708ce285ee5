"""Batch norms in two sets, so that fakes leave the statistics of real images alone.

Each batch norm of a network becomes two with equal beginnings. Real images pass the first ones, as
all images do outside `fake_norms`; fakes pass the second ones.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class DoubledBatchNorm(nn.Module):
    """A batch norm for real images and one, of the same beginning, for fakes."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.real, self.fake = norm, copy.deepcopy(norm)
        self.on_fakes = False

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape, by the set in force."""
        normalised: Tensor = (self.fake if self.on_fakes else self.real)(maps)
        return normalised


def double_batch_norms(network: nn.Module) -> None:
    """Put a `DoubledBatchNorm` in the place of each batch norm, in the network itself."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, DoubledBatchNorm(child))


def doubled_norms(network: nn.Module) -> list[DoubledBatchNorm]:
    """All of a network's."""
    return [module for module in network.modules() if isinstance(module, DoubledBatchNorm)]


@contextmanager
def fake_norms(network: nn.Module) -> Iterator[None]:
    """Within it, images pass the second set of batch norms."""
    doubled = doubled_norms(network)
    for norm in doubled:
        norm.on_fakes = True
    try:
        yield
    finally:
        for norm in doubled:
            norm.on_fakes = False
