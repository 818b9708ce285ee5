"""Methods on a narrow backbone, their weights in float64, and batches of random images."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batch, Batches
from osr_core.methods import Learner

L = TypeVar("L", bound=Learner)
NUM_KNOWN = 3


def narrow(cls: type[L], *, image_size: int = 16, channels: int = 1, **settings: object) -> L:
    """A method of few weights, in eval mode, without dropout and with embeddings above rounding."""
    torch.manual_seed(0)
    network = {"width": 0.05, "dropout": 0.0, "init": "kaiming"}
    resolved = resolve_backbone(network, image_size=image_size, channels=channels)
    method = cls(build_backbone(resolved), NUM_KNOWN, cls.Config(**settings)).eval()
    for name, value in method.backbone.named_buffers():
        if name.endswith("running_var"):
            value.fill_(0.3)  # no fresh statistics: maps that differ from position to position
    return method


def full(cls: type[L], **settings: object) -> L:
    """On the published network for colour images of 32 pixels with six classes."""
    resolved = resolve_backbone({}, image_size=32, channels=3)
    return cls(build_backbone(resolved), 6, cls.Config(**settings))


def batch_of(num: int, *, image_size: int = 16, channels: int = 1) -> Batch:
    """`num` images of whole levels with labels 0, 1, 2, 0, ..."""
    generator = torch.Generator().manual_seed(1)
    size = (num, channels, image_size, image_size)
    images = torch.randint(256, size, generator=generator).float() / 255
    return Batch(images, torch.arange(num) % NUM_KNOWN, torch.arange(num))


def train_of(batch: Batch) -> Batches:
    """The images of a batch, as they are in bytes, as a training set."""
    images = batch.images.mul(255).round().to(torch.uint8)
    return Batches(ImageSet(images, batch.label), batch_size=4)


def doubled(method: L) -> tuple[L, dict[str, Tensor]]:
    """Its like in float64, and all of that one's tensors by name; what learns has gradients."""
    like = deepcopy(method).double()
    return like, like.state_dict(keep_vars=True)


def assert_same_slopes(method: Learner, loss: Tensor, weights: dict[str, Tensor], slow: Tensor):
    """The gradients of two losses by all that learns, the backbone too; ours are in float32."""
    loss.backward()
    slow.backward()
    learning = [
        (name, parameter)
        for name, parameter in method.named_parameters()
        if parameter.requires_grad
    ]
    expected = {name: weights[name].grad for name, _ in learning}
    assert [name for name, slope in expected.items() if slope is None] == []
    largest = max(float(slope.abs().max()) for slope in expected.values())
    for name, parameter in learning:
        assert parameter.grad is not None, name
        torch.testing.assert_close(
            parameter.grad.double(), expected[name], rtol=1e-3, atol=1e-5 * largest, msg=name
        )


def assert_same_gradients(method: nn.Module, doubled: nn.Module) -> None:
    """The gradients of a method are those of its like in float64, in its backbone, too."""
    expected = dict(doubled.named_parameters())
    for name, parameter in method.named_parameters():
        slope = expected[name].grad
        assert parameter.grad is not None
        assert slope is not None
        torch.testing.assert_close(
            parameter.grad.double(),
            slope,
            rtol=1e-3,
            atol=1e-4 * float(slope.abs().max()),
            msg=name,
        )
