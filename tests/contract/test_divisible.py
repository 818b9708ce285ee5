"""Methods whose fits may be spread over several devices: a batch is no more than its images."""

import pytest
import torch
from blobs import TRAINING, Runs, shortened, trial
from torch import nn

from osr_core.data.batches import Batch
from osr_core.methods import METHODS, Learner

SHORT = shortened(TRAINING, epochs=2)
DRAWING_OR_COMPARING = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)


def gradients(method: Learner, batch: Batch) -> list[torch.Tensor]:
    """Of the sum of the terms, by each parameter that it reaches."""
    method.zero_grad(set_to_none=True)
    torch.stack(list(method.losses(batch).values())).sum().backward()
    return [parameter.grad for parameter in method.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("name", sorted(name for name in METHODS if METHODS[name].divisible))
def test_the_gradient_of_a_batch_is_the_mean_of_its_images(name: str, runs: Runs) -> None:
    """Parts weigh what they are of the whole, and no loss draws a number; batch norms and dropout
    are left out, which processes share and draw each for itself.
    """
    method, train = runs.prepared(trial(name, SHORT))
    method.train()
    for module in method.modules():
        if isinstance(module, DRAWING_OR_COMPARING):
            module.eval()
    batch = next(train.ordered(16))
    drawn = torch.get_rng_state()
    whole = gradients(method, batch)
    first, second = (
        gradients(method, Batch(*parts))
        for parts in zip(*((each[:5], each[5:]) for each in batch), strict=True)
    )
    assert torch.equal(torch.get_rng_state(), drawn)
    for one, other, both in zip(first, second, whole, strict=True):
        torch.testing.assert_close((5 * one + 11 * other) / 16, both, rtol=1e-4, atol=1e-6)
