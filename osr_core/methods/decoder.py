"""The decoder of the counterfactual-images paper: a backbone's last maps to an image of any side S.

    1x1 deconv to 512w, then n deconvs 4x4 with stride 2, each but the last halving the width, the
    last one to C channels with a bias; LeakyReLU(0.01) and then a batch norm behind each but the
    first and the last; an activation at the end. n is how often the maps must be doubled to reach
    S; what is more than S is cut off.

Source: Neal et al., "Open set learning with counterfactual images", ECCV 2018, and the authors'
code. For colour images of 32 pixels, maps of 4 and w = 1 it has 2,661,123 parameters from 64
channels and 2,693,891 from 128. Weights start as there: N(0, 0.05), batch norms N(1, 0.02).
"""

from itertools import pairwise

from torch import Tensor, nn

WIDTH = 512


class Decoder(nn.Module):
    """Maps (B, channels, side, side) to images (B, C, S, S)."""

    def __init__(
        self,
        channels: int,
        side: int,
        image_size: int,
        image_channels: int,
        width: float,
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        doublings = max(1, (-(-image_size // side) - 1).bit_length())
        widths = [max(1, round(width * WIDTH / 2**i)) for i in range(doublings)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(channels, widths[0], 1, bias=False)]
        for before, after in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.LeakyReLU(0.01),
                nn.BatchNorm2d(after),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], image_channels, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers, activation)
        self.layers.apply(init)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, S, S) in the activation's range."""
        images: Tensor = self.layers(maps)
        return images[:, :, : self.image_size, : self.image_size]


def init(layer: nn.Module) -> None:
    """The weights that the paper's networks start with."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0, 0.05)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, 0.02)
