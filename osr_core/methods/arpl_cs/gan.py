"""The two networks that make confusing samples: a DCGAN for any image side S.

With n the number of doublings from 4 to S (32 pixels: n = 3) and w the width:

    generator      noise (B, 100) -> images (B, C, S, S) in (0, 1)
                   deconv to 8w at 4x4, then n deconvs with stride 2, each halving the width, the
                   last one to C channels; batch norm and ReLU between, a sigmoid at the end
    discriminator  images -> one logit each, larger = more like a real image
                   n + 1 convs with stride 2, each doubling the width, the last one to 16w;
                   LeakyReLU(0.2) between, batch norm but for the first; then a sigmoid, the mean
                   over positions and a linear layer

Kernels are 4x4 without bias; weights begin at N(0, 0.02), batch norms at N(1, 0.02). At w = 64 and
32 pixels these are the authors' networks, with 3.45 and 11.0 million parameters; the other sides
continue their rule. A side that is not 4 times a power of two is cut from the next one that is.
"""

from torch import Tensor, nn

NOISE = 100  # nz, numbers that a fake is made from


def doublings(image_size: int) -> int:
    """The smallest n >= 1 with 4 * 2^n >= image_size."""
    return max(1, (image_size - 1).bit_length() - 2)


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
        steps = doublings(image_size)
        widths = [max(1, 16 * width >> (steps - i)) for i in range(steps + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False)]
        for i in range(steps):
            layers += [nn.BatchNorm2d(widths[i])] if i > 0 else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.Conv2d(widths[i], widths[i + 1], 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers, nn.Sigmoid())
        self.head = nn.Linear(widths[-1], 1)
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
