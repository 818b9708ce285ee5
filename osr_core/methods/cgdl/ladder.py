"""The ladder of Gaussians that CGDL puts on a backbone, and the arithmetic of Gaussians.

x_1, ..., x_n are the maps that each resolution of the backbone ends with (`Backbone.stages`):

    up     q(z_n | x)  of `latent` numbers: two linear heads on the mean of x_n over positions
           q(z_i | x), i < n, of `lateral` maps: two 1x1 convolutions on x_i
    down   p(z_i | z_{i+1}): a block to the size of x_i, then two 1x1 convolutions
    merge  q(z_i) = the product of up and down, normalised
    out    x~ = sigmoid(conv 1x1 (block(z_1)))
    block  deconv whose kernel is its stride, BN, LeakyReLU(0.2), conv 3x3, BN, LeakyReLU(0.2)

The two heads give mean and variance, softplus(.) + 1e-6. In training z is drawn, in eval mode it is
the mean.

Source: Sun et al., "Conditional Gaussian distribution learning for open set recognition", CVPR
2020, section 3, whose ladder has five steps of its own network.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone

LEAST_VARIANCE = 1e-6


class Gaussian(NamedTuple):
    """Independent normal distributions of any shape."""

    mean: Tensor
    variance: Tensor

    def times(self, other: "Gaussian") -> "Gaussian":
        """The product of the two densities, normalised: precisions add up and weigh the means."""
        variance = self.variance * other.variance / (self.variance + other.variance)
        weighted = self.mean / self.variance + other.mean / other.variance
        return Gaussian(variance * weighted, variance)

    def divergence_from(self, other: "Gaussian") -> Tensor:
        """(B,) KL(self || other), summed over all but the first dimension."""
        ratio = self.variance / other.variance
        apart = (self.mean - other.mean).square() / other.variance
        return (ratio + apart - 1 - ratio.log()).flatten(1).sum(1) / 2

    def draw(self) -> Tensor:
        """From torch's global generator; gradients reach mean and variance."""
        return self.mean + self.variance.sqrt() * torch.randn_like(self.mean)


class Heads(nn.Module):
    """Two layers that read a Gaussian off features."""

    def __init__(self, mean: nn.Module, variance: nn.Module) -> None:
        super().__init__()
        self.mean, self.variance = mean, variance

    def forward(self, features: Tensor) -> Gaussian:
        """As a module gives it."""
        return Gaussian(self.mean(features), F.softplus(self.variance(features)) + LEAST_VARIANCE)


def map_heads(channels: int, lateral: int) -> Heads:
    """1x1 convolutions."""
    return Heads(nn.Conv2d(channels, lateral, 1), nn.Conv2d(channels, lateral, 1))


class Block(nn.Module):
    """Maps at the next finer resolution, of `side` pixels."""

    def __init__(self, before: int, width: int, factor: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.deconv = nn.ConvTranspose2d(before, width, factor, stride=factor)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, width, side, side)."""
        finer: Tensor = self.rest(self.deconv(maps)[:, :, : self.side, : self.side])
        return finer


class Climbed(NamedTuple):
    """What the ladder makes of B images."""

    top: Gaussian  # (B, latent) q(z_n | x)
    latent: Tensor  # (B, latent) z_n
    images: Tensor  # (B, C, S, S) x~ in (0, 1)
    divergence: Tensor  # (B,) sum over i < n of KL(q(z_i) || p(z_i | z_{i+1}))


class Ladder(nn.Module):
    """All of it on one backbone; n >= 2."""

    def __init__(self, backbone: Backbone, latent: int, lateral: int) -> None:
        super().__init__()
        self.build(backbone, latent, lateral)

    def build(self, backbone: Backbone, latent: int, lateral: int) -> None:
        """Make the layers."""
        widths, sides = list(backbone.stage_channels), list(backbone.stage_sides)
        self.top = Heads(nn.Linear(widths[-1], latent), nn.Linear(widths[-1], latent))
        self.up = nn.ModuleList(map_heads(width, lateral) for width in widths[:-1])
        self.down = nn.ModuleList(map_heads(width, lateral) for width in widths[:-1])
        before, coarser = [lateral] * (len(sides) - 2) + [latent], [*sides[1:-1], 1]
        self.blocks = nn.ModuleList(
            Block(before[i], widths[i], math.ceil(sides[i] / coarser[i]), sides[i])
            for i in range(len(sides) - 1)
        )
        side = backbone.image_size
        self.last = Block(lateral, widths[0], math.ceil(side / sides[0]), side)
        self.out = nn.Conv2d(widths[0], backbone.channels, 1)

    def forward(self, *maps: Tensor) -> Climbed:
        """From x_1 ... x_n, up and down again."""
        top = self.read_top(maps[-1])
        z = latent = self.taken(top)
        divergence = latent.new_zeros(len(latent))
        for i in range(len(maps) - 2, -1, -1):
            prior = self.prior(i, z)
            posterior = prior.times(self.read(i, maps[i]))
            divergence = divergence + posterior.divergence_from(prior)
            z = self.taken(posterior)
        return Climbed(top, latent, torch.sigmoid(self.image(z)), divergence)

    def read_top(self, maps: Tensor) -> Gaussian:
        """q(z_n | x) of x_n."""
        top: Gaussian = self.top(maps.mean((2, 3)))
        return top

    def read(self, i: int, maps: Tensor) -> Gaussian:
        """q(z_i | x) of x_i."""
        found: Gaussian = self.up[i](maps)
        return found

    def prior(self, i: int, z: Tensor) -> Gaussian:
        """p(z_i | z_{i+1})."""
        found: Gaussian = self.down[i](self.blocks[i](z if z.dim() == 4 else z[:, :, None, None]))
        return found

    def image(self, z: Tensor) -> Tensor:
        """What the sigmoid makes x~ of, from z_1."""
        image: Tensor = self.out(self.last(z))
        return image

    def taken(self, gaussian: Gaussian) -> Tensor:
        """A draw in training, the mean otherwise."""
        return gaussian.draw() if self.training else gaussian.mean
