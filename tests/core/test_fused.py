"""Optimisers of a GPU: fused, with their rate in a tensor; those of a CPU stay as they are."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from osr_core.backbones import resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.graphs import capturable
from osr_core.methods import Softmax, learner
from osr_core.methods.learner import make_optimizer, set_rate
from osr_core.recipes import Training
from osr_core.training import Fit

SCHEDULES = [Training(lr=0.1, epochs=4), Training(lr=0.01, epochs=4, optimizer="adam")]


@pytest.mark.parametrize("training", SCHEDULES)
def test_on_a_cpu_a_rate_is_a_number(training: Training) -> None:
    """Torch's plain loop, as before there were fused ones: no number may move."""
    optimizer = make_optimizer([nn.Parameter(torch.ones(2))], training)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["fused"]) == (training.lr, None)
    set_rate(optimizer, 0.5)
    assert group["lr"] == training.lr * 0.5


@pytest.mark.parametrize("training", SCHEDULES)
def test_a_fused_optimiser_keeps_its_rate_in_place(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph reads it where it lay. Adam is not told of graphs: it would warn at each step."""
    monkeypatch.setattr(learner, "FUSED_ON", {"cpu"})
    optimizer = make_optimizer([nn.Parameter(torch.ones(2))], training)
    (group,) = optimizer.param_groups
    assert group["fused"]
    assert not group.get("capturable", False)
    rate = group["lr"]
    assert (rate.dtype, rate.shape) == (torch.float32, ())
    set_rate(optimizer, 0.5)
    assert group["lr"] is rate
    assert rate == torch.tensor(training.lr * 0.5)


@pytest.mark.parametrize("training", SCHEDULES)
def test_adam_is_told_of_a_capture_while_it_lasts(training: Training) -> None:
    """Also where it fails; SGD has no word for it."""
    optimizer = make_optimizer([nn.Parameter(torch.ones(2))], training)
    (group,) = optimizer.param_groups
    before = dict(group)
    with suppress(RuntimeError), capturable([optimizer]):
        during = group.get("capturable")
        raise RuntimeError("this cannot be captured")
    assert during == (True if training.optimizer == "adam" else None)
    assert group == before


@pytest.mark.parametrize("training", SCHEDULES)
def test_a_loaded_state_lies_in_memory_as_its_parameters(training: Training) -> None:
    """Files have rows after rows, weights channels last; a fused update takes one for the other."""
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=3)
    config = {"method": {"name": "softmax", "version": 1}, "backbone": network}
    method = Softmax.fresh(config, 2, torch.device("cpu"))
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    train = Batches(ImageSet(images, torch.arange(8) % 2), batch_size=4)
    fit = Fit(method, train, None, training, seed=0)
    fit.one_epoch()
    before = {name: value.clone() for name, value in states(fit).items()}
    fit.load_state(fit.state())
    weights = [weight for weight in method.parameters() if weight.dim() == 4]
    assert not any(weight.is_contiguous() for weight in weights)
    for weight, state in fit.optimizers["main"].state.items():
        for value in state.values():
            assert value.shape != weight.shape or value.stride() == weight.stride()
    assert all(torch.equal(value, before[name]) for name, value in states(fit).items())


def states(fit: Fit) -> dict[str, torch.Tensor]:
    """An optimiser's tensors by parameter and name."""
    by_parameter = fit.optimizers["main"].state_dict()["state"]
    return {f"{i}/{name}": v for i, own in by_parameter.items() for name, v in own.items()}
