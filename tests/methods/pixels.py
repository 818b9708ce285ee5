"""A backbone without weights: an image's embedding is its pixels, so logits can be set by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from osr_core.backbones import Backbone, BackboneConfig
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.methods import Method


class Pixels(Backbone):
    """One row of `dim` grey pixels -> (B, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__(BackboneConfig(image_size=8, channels=1))
        self.dim, self.head_bias = dim, False

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def method_on_pixels(cls: type[Method], num_known: int, **settings: object) -> Method:
    """A method whose linear head passes the pixels on."""
    method = cls(Pixels(num_known), num_known, cls.Config(**settings))
    head = method.get_submodule("head")
    with torch.no_grad():
        head.weight.copy_(torch.eye(num_known))
    return method.eval().requires_grad_(False)


def images_of(
    rows: Sequence[Sequence[int]], labels: Sequence[int], *, mirrored: bool = False
) -> Batches:
    """Batches of one-row images with these pixels, 0 to 255."""
    pixels = torch.tensor(rows, dtype=torch.uint8)[:, None, None]
    return Batches(ImageSet(pixels, torch.tensor(labels), mirrored=mirrored), batch_size=2)
