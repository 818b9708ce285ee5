"""The two networks that make confusing samples: a DCGAN for any image side S.

With w the width:

    generator      noise (B, 100) -> images (B, C, S, S) in (0, 1)
                   deconv to 8w at 4x4, then n deconvs with stride 2, each halving the width, the
                   last one to C channels; batch norm and ReLU between, a sigmoid at the end; n is
                   the number of doublings from 4 to S (32 pixels: 3, 64 pixels: 4)
    discriminator  images -> one logit each, larger = more like a real image
                   m convs with stride 2, each doubling the width, then one with stride 1 and
                   without padding to 16w; LeakyReLU(0.2) between, batch norm but for the first;
                   then a sigmoid, the mean over positions and a linear layer; m is 3 where S is 32
                   or more, else what leaves a map of at least 4x4

Kernels are 4x4 without bias; weights begin at N(0, 0.02), batch norms at N(1, 0.02). At w = 64
these are the authors' networks for 32 pixels and for TinyImageNet's 64: the generator has 3.45 and
3.58 million parameters; the discriminator is the same for both, 128-256-512-1024 with 11.0 million,
and its last map has 1x1 or 5x5 positions. The other sides continue their rule. A side that is not 4
times a power of two is cut from the next one that is.
"""

from itertools import pairwise

from torch import Tensor, nn

NOISE = 100  # nz, numbers that a fake is made from


MOST_HALVINGS = 3  # of the discriminator's maps


def doublings(image_size: int) -> int:
    """The smallest n >= 1 with 4 * 2^n >= image_size."""
    return max(1, (image_size - 1).bit_length() - 2)


def halvings(image_size: int) -> int:
    """How often a side can be halved, at most three times, with 4 or more left of it."""
    return min(MOST_HALVINGS, (image_size // 4).bit_length() - 1)


class Generator(nn.Module):
    """Noise to images."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        self.image_size = image_size
        widths = [max(1, 8 * width >> i) for i in range(doublings(image_size))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(NOISE, widths[0], 4, bias=False)]
        for before, after in zip(widths, [*widths[1:], channels], strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)]
        self.layers = nn.Sequential(*layers, nn.Sigmoid())
        self.apply(_init)

    def forward(self, noise: Tensor) -> Tensor:
        """(B, NOISE) -> (B, C, S, S)."""
        images: Tensor = self.layers(noise[:, :, None, None])
        return images[:, :, : self.image_size, : self.image_size]


class Discriminator(nn.Module):
    """Images to logits of being real."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        last = 16 * width
        widths = [max(1, last >> i) for i in range(halvings(image_size), 0, -1)]
        layers: list[nn.Module] = []
        for before, after in pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(after)] if layers[1:] else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(widths[-1], last, 4, bias=False), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(last, 1)
        self.apply(_init)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B,)."""
        logits: Tensor = self.head(self.layers(images).mean((2, 3)))
        return logits[:, 0]


def _init(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, 0.02)
