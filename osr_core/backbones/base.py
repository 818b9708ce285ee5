"""What every backbone is: images in, one embedding per image out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from osr_core.config import check, setting


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """What every backbone can be asked; None takes the dataset's own."""

    image_size: int | None = setting(None, "side of the input, pixels", at_least=8)
    channels: int | None = setting(None, "1 grey, 3 colour", choices=(1, 3))

    def __post_init__(self) -> None:
        check(self)


class Backbone(nn.Module, ABC):
    """Images (B, C, H, W) in [0, 1] -> embeddings (B, D)."""

    Config: ClassVar[type[BackboneConfig]] = BackboneConfig
    dim: int  # D
    head_bias: bool  # whether the classifier on top has a bias in the published network

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.image_size is None or config.channels is None:
            raise ValueError(
                "a backbone needs image_size and channels; None stands for a dataset's"
            )
        self.normalize = Normalize(config.channels)

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, D)."""


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

    def fit(self, images: Tensor) -> None:
        """Take the statistics of uint8 images (N, C, H, W); a constant channel keeps std 1."""
        per_channel = images.transpose(0, 1).flatten(1)
        counts = per_channel.new_zeros(
            len(per_channel), 256, dtype=images.new_empty(0).long().dtype
        )
        for channel, values in enumerate(per_channel):
            counts[channel] = values.long().bincount(minlength=256)
        levels = counts.new_tensor(range(256)).double() / 255
        weights = counts.double() / counts.sum(1, keepdim=True)
        mean = weights @ levels
        std = (weights @ levels.square() - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(std.where(std > 0, std.new_ones(())))

    def forward(self, images: Tensor) -> Tensor:
        """Images of the same shape."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]
