"""The encoder of CGDL's paper: ten convolutions, two for each of five resolutions.

    layer   convolution with a bias, batch norm without scale and shift, PReLU
    conv1_1 1x1, C -> 64, padded to a side that is a multiple of 16 (the paper: 28 -> 32)
    conv1_2 3x3, 64 -> 64, stride 2;  conv2_1 64 -> 128, conv2_2 stride 2;  3: 256, 4 and 5: 512
    head    global average pooling: D = 512, a biased classifier

What CGDL puts on it (`cgdl/flat.py`) has fully connected layers on the flattened maps of all ten,
hence its 291 million parameters; other methods may stand on it as on any backbone.

Source: Sun et al., "Conditional Gaussian distribution learning for open set recognition", CVPR
2020, and the authors' code. 9,403,466 parameters for colour images.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from osr_core.backbones.base import Backbone, BackboneConfig, walked
from osr_core.config import setting

WIDTHS = (64, 128, 256, 512, 512)  # of a resolution's two layers
MULTIPLE = 16
LAYERS = 3  # modules of a layer


class CGDLEncoder(Backbone):
    """Ten layers, the maps of each of which are a stage."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BackboneConfig):
        """Its width."""

        width: float = setting(1.0, "multiplier of every convolution's width", above=0, at_most=100)

    head_bias = True
    flat_stages = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        layers: list[nn.Module] = []
        before, padding = self.channels, (-self.image_size % MULTIPLE + 1) // 2
        side = self.image_size + 2 * padding
        self.stage_channels: list[int] = []
        self.stage_sides: list[int] = []
        for number in range(2 * len(WIDTHS)):
            width, stride = max(1, round(config.width * WIDTHS[number // 2])), 1 + number % 2
            conv = nn.Conv2d(before, width, 3, stride, padding=1)
            if number == 0:
                conv = nn.Conv2d(before, width, 1, padding=padding)
            layers += [conv, nn.BatchNorm2d(width, affine=False), nn.PReLU()]
            before, side = width, -(-side // stride)
            self.stage_channels.append(width)
            self.stage_sides.append(side)
        self.trunk = nn.Sequential(*layers)
        self.middle = len(layers) - 2 * LAYERS
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dim = before

    def forward(self, images: Tensor) -> Tensor:
        return self.tail(self.stem(images))

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """After each of the ten layers."""
        ends = range(LAYERS, len(self.trunk) + 1, LAYERS)
        return walked(self.trunk, self.normalize(images), ends)

    def pool(self, maps: Tensor) -> Tensor:
        embedding: Tensor = self.head(maps)
        return embedding

    def stem(self, images: Tensor) -> Tensor:
        """All but the last two layers."""
        maps: Tensor = self.trunk[: self.middle](self.normalize(images))
        return maps

    def tail(self, maps: Tensor) -> Tensor:
        """The last two layers and the head."""
        return self.pool(self.behind_stem()(maps))

    def behind_stem(self) -> nn.Module:
        """The last two layers."""
        return self.trunk[self.middle :]
