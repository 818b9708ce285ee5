"""What every backbone is: images in, one embedding per image out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from osr_core.config import check, setting
from osr_core.data.imageset import Images

COUNTED_AT_ONCE = 512  # images; bounds the memory of Normalize.fit


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """What every backbone can be asked; None takes the dataset's own."""

    image_size: int | None = setting(None, "side of the input, pixels", at_least=8, at_most=4096)
    channels: int | None = setting(None, "1 grey, 3 colour", choices=(1, 3))

    def __post_init__(self) -> None:
        check(self)


class Backbone(nn.Module, ABC):
    """Images (B, C, H, W) in [0, 1] -> embeddings (B, D)."""

    version: ClassVar[int | str] = 1  # raised by the commit that changes what it computes
    Config: ClassVar[type[BackboneConfig]] = BackboneConfig
    image_size: int  # S, side of the images
    channels: int  # C
    dim: int  # D
    stage_channels: Sequence[int]  # of the maps in `stages`
    stage_sides: Sequence[int]  # of them, pixels
    flat_stages: ClassVar[bool] = False  # whether ladders see `stages` flattened, as published
    head_bias: bool  # whether the classifier on top has a bias in the published network

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.image_size is None or config.channels is None:
            raise ValueError(
                "a backbone needs image_size and channels; None stands for a dataset's"
            )
        self.image_size, self.channels = config.image_size, config.channels
        self.normalize = Normalize(config.channels)

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, D)."""

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) -> the maps that each resolution ends with, from fine to coarse.

        What reconstructs or generates images stands on them; `pool` of the last is `forward`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no stages")

    def pool(self, maps: Tensor) -> Tensor:
        """(B, D) the embedding, from the last of `stages`."""
        raise NotImplementedError(f"{type(self).__name__} has no stages")

    def classifier(self, num_known: int) -> nn.Module:
        """Embeddings (B, D) -> logits (B, K): what stands on the published network."""
        return nn.Linear(self.dim, num_known, bias=self.head_bias)

    def stem(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> maps in the middle of the network, where manifold mixup mixes.

        Default: the images, so that these are mixed; override it together with `tail`.
        """
        return images

    def tail(self, maps: Tensor) -> Tensor:
        """The rest of the network: `tail(stem(images))` is `forward(images)`."""
        embedding: Tensor = self(maps)
        return embedding

    def behind_stem(self) -> nn.Module:
        """The layers between `stem` and `pool`, of which a network with branches takes copies.

        `pool(behind_stem()(stem(images)))` is `forward(images)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no layers behind a stem")


def walked(layers: nn.Sequential, maps: Tensor, ends: Sequence[int]) -> tuple[Tensor, ...]:
    """What layers make of maps, after the first `ends[0]` of them, the first `ends[1]`, ..."""
    found = []
    for start, end in pairwise([0, *ends]):
        maps = layers[start:end](maps)
        found.append(maps)
    return tuple(found)


class Normalize(nn.Module):
    """(x - mean) / std per channel, with the statistics of the known training images.

    They are buffers, so weights carry them and no table of constants is needed.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", Tensor(channels).zero_())
        self.register_buffer("std", Tensor(channels).fill_(1))

    def fit(self, images: Images) -> None:
        """Take the statistics of uint8 images (N, C, H, W); a constant channel keeps std 1."""
        counts = images[:0].new_zeros((images.shape[1], 256), dtype=torch.int64)
        for start in range(0, len(images), COUNTED_AT_ONCE):
            piece = images[start : start + COUNTED_AT_ONCE]
            for channel, values in enumerate(piece.transpose(0, 1).flatten(1)):
                counts[channel] += values.bincount(minlength=256)
        levels = counts.new_tensor(range(256)).double() / 255
        weights = counts.double() / counts.sum(1, keepdim=True)
        mean = weights @ levels
        std = (weights @ levels.square() - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(std.where(std > 0, std.new_ones(())))

    def forward(self, images: Tensor) -> Tensor:
        """Images of the same shape."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]
