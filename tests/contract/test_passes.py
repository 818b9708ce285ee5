"""What a step sends through its network, from which `osr plan` says what a sweep costs."""

import pytest
import torch
from blobs import TRAINING, Runs, shortened, trial

from osr_core.methods import METHODS
from osr_core.training import Fit


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_step_sends_as_many_images_through_the_network_as_declared(name: str, runs: Runs) -> None:
    """With gradients: ARPL+CS sends images twice, and fakes twice; PROSER half of its mixtures."""
    schedule = shortened(TRAINING, epochs=2)
    method, train = runs.prepared(trial(name, schedule))
    fit = Fit(method, train, None, schedule, seed=0)
    sent = []
    last = method.backbone.trunk[-1]
    last.register_forward_hook(
        lambda layer, inputs, output: sent.append(len(output) * torch.is_grad_enabled())
    )
    batch = next(train.shuffled(torch.Generator().manual_seed(0)))
    method.train()
    method.train_step(batch, fit.optimizers)
    assert sum(sent) == method.passes * len(batch.label)
