"""A step that is all alike asks nothing of the CPU: on `meta`, where tensors have a shape and no
numbers, none can be read, none chosen by, and what lies elsewhere shows.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, Runs, context, shortened, trial
from recorder import tensors_in
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from osr_core.data.batches import Batch, Batches, Drawn
from osr_core.data.imageset import ImageSet
from osr_core.methods import METHODS, Learner, learner_named
from osr_core.methods.c2ae.method import ByClass
from osr_core.recipes import Augmentation
from osr_core.stage import Stage

SHORT = shortened(TRAINING, epochs=1)
FITS = {
    stage.config["method"]["name"]: stage
    for name in METHODS
    for stage in trial(name, SHORT).score.walk()
    if stage.kind.trains
}


class Elsewhere(TorchDispatchMode):
    """Hears of operations on tensors that are not on `meta`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(not each.is_meta for each in tensors_in((args, kwargs, out))):
            self.found.add(str(func))
        return out


def without_numbers(tensor: Tensor) -> Tensor:
    """Of its shape and layout."""
    form = (tensor.shape, tensor.stride())
    return torch.empty_strided(*form, dtype=tensor.dtype, device="meta")


def strip(owner: object) -> None:
    """Take the numbers from the tensors that lie in plain attributes, at whatever depth."""
    for name, value in list(vars(owner).items()):
        if isinstance(value, Tensor):
            vars(owner)[name] = without_numbers(value)
        elif isinstance(value, ByClass | Batches):
            strip(value)


def prepared(stage: Stage, runs: Runs) -> tuple[Learner, Batch, dict[str, torch.optim.Optimizer]]:
    """A fit's learner before its first step, a batch, and optimisers that only have parameters."""
    where = context(runs.inputs(stage))
    name = stage.config["method"]["name"]
    learner = learner_named(name).fresh(stage.config, NUM_KNOWN, torch.device("cpu"))
    train = Batches(where.train(stage.config), batch_size=16)
    learner.prepare(train, {role: where.tensors(role) for role in where.inputs})
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    roles = {
        role: [names[id(each)] for group in own.param_groups for each in group["params"]]
        for role, own in learner.optimizers(TRAINING).items()
    }
    learner.train().to_empty(device="meta")
    strip(learner)
    moved = dict(learner.named_parameters())
    optimizers = {
        role: torch.optim.SGD([moved[name] for name in own], lr=0.1) for role, own in roles.items()
    }
    return learner, Batch(*map(without_numbers, next(train.ordered(16)))), optimizers


@pytest.mark.parametrize("name", sorted(FITS))
def test_a_static_step_asks_nothing_of_the_cpu(
    name: str, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that draws there, as PROSER's does, is not static."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # unknown on meta
    learner, batch, optimizers = prepared(FITS[name], runs)
    with Elsewhere() as elsewhere:
        learner.train_step(batch, optimizers)
    assert learner.static_step == (elsewhere.found == set()), elsewhere.found


def test_the_changes_of_images_ask_nothing_of_the_cpu() -> None:
    """They are part of a step; RandAugment is not."""
    everything = Augmentation(rotation=10.0, scale=0.8, crop_padding=1, flip=True)
    images = ImageSet(torch.zeros(16, 3, 8, 8, dtype=torch.uint8), torch.zeros(16).long())
    train = Batches(images, batch_size=16, augmentation=everything)
    drawn = next(train.shuffled(torch.Generator()))
    with Elsewhere() as elsewhere:
        batch = train.augmented(Drawn(*map(without_numbers, drawn)))
    assert elsewhere.found == set()
    assert batch.images.shape == (16, 3, 8, 8)


@pytest.mark.parametrize("name", sorted(FITS))
def test_a_subclass_speaks_for_itself(name: str, runs: Runs) -> None:
    """It may step otherwise; what it does not say is that its steps are alike."""
    stage = FITS[name]
    where = context(runs.inputs(stage))
    other = type("Other", (learner_named(name),), {"name": "other"})
    learner = other.fresh(stage.config, NUM_KNOWN, torch.device("cpu"))
    learner.prepare(
        Batches(where.train(stage.config), batch_size=16),
        {role: where.tensors(role) for role in where.inputs},
    )
    assert not learner.static_step
