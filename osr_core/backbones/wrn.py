"""Wide residual networks: pre-activation blocks, few layers, many channels.

    stem      3x3 convolution C -> 16
    3 groups  of n = (depth - 4) / 6 blocks, widths 16, 32, 64 times `widen`, strides 1, 2, 2
    block     a = ReLU(BN(x));  out = shortcut + conv(ReLU(BN(drop(conv(a))))), 3x3 without biases,
              where the shortcut is x, or a 1x1 convolution of a where the shape changes
    head      BN, ReLU, global average pooling: D = 64 widen
    classifier  linear with a bias, or D -> `bottleneck`, ReLU, K

Source: Zagoruyko and Komodakis, "Wide residual networks", BMVC 2016. WRN-40-4, which RPL, PMAL and
CSSR use without dropout, has 8,946,640 parameters in the trunk for colour images; WRN-28-10, with
dropout 0.3 and a bottleneck of 50 in PROSER's code, 36,472,784. Pooling takes whatever size is
left, so that images of any size can be seen.

Deviations from PROSER's code, which is another reading of the paper: its convolutions have biases,
the second one of a block has the stride, the shortcut sees x, weights are Xavier's, and the last
batch norm has momentum 0.9.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones.base import Backbone, BackboneConfig, walked
from osr_core.config import setting
from osr_core.errors import ConfigError

STEM = 16
GROUPS = ((16, 1), (32, 2), (64, 2))  # width at widen 1, stride


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        changed = stride != 1 or before != width
        self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False) if changed else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, width, H / stride, W / stride)."""
        activated = F.relu(self.norm1(x), inplace=True)
        inner = self.dropout(self.conv1(activated))
        out: Tensor = self.conv2(F.relu(self.norm2(inner), inplace=True))
        return out + (x if self.shortcut is None else self.shortcut(activated))


class WRN(Backbone):
    """A wide residual network."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BackboneConfig):
        """Depth, width, and what PROSER adds."""

        depth: int = setting(
            40, "convolutional layers, 4 more than a multiple of 6", at_least=10, at_most=1000
        )
        widen: float = setting(4.0, "multiplier of every group's width", above=0, at_most=100)
        dropout: float = setting(
            0.0, "rate between a block's two convolutions (PROSER: 0.3)", at_least=0, below=1
        )
        bottleneck: int = setting(
            0,
            "units of a hidden layer in the classifier (PROSER: 50); 0 is none",
            at_least=0,
            at_most=65_536,
        )

        def __post_init__(self) -> None:
            super().__post_init__()
            if (self.depth - 4) % 6:
                raise ConfigError(f"depth must be 6 n + 4, such as 16, 28 or 40, not {self.depth}.")

    head_bias = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        layers: list[nn.Module] = [nn.Conv2d(config.channels or 0, STEM, 3, padding=1, bias=False)]
        before, side = STEM, config.image_size or 0
        self.ends: list[int] = []  # of the three groups, in layers
        self.stage_sides: list[int] = []
        for base, stride in GROUPS:
            width, self.middle = max(1, round(config.widen * base)), len(layers)
            for number in range((config.depth - 4) // 6):
                layers.append(Block(before, width, 1 if number else stride, config.dropout))
                before = width
            side = -(-side // stride)
            self.ends.append(len(layers))
            self.stage_sides.append(side)
        layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        self.trunk = nn.Sequential(*layers)
        self.ends[-1] = len(layers)
        self.stage_channels = [max(1, round(config.widen * base)) for base, _ in GROUPS]
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dim, self.bottleneck = before, config.bottleneck
        for layer in self.trunk.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        return self.tail(self.stem(images))

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """After each group, the last one with its batch norm and ReLU."""
        return walked(self.trunk, self.normalize(images), self.ends)

    def pool(self, maps: Tensor) -> Tensor:
        embedding: Tensor = self.head(maps)
        return embedding

    def classifier(self, num_known: int) -> nn.Module:
        if not self.bottleneck:
            return super().classifier(num_known)
        hidden, logits = nn.Linear(self.dim, self.bottleneck), nn.Linear(self.bottleneck, num_known)
        return nn.Sequential(hidden, nn.ReLU(), logits)

    def stem(self, images: Tensor) -> Tensor:
        """All but the last group."""
        maps: Tensor = self.trunk[: self.middle](self.normalize(images))
        return maps

    def tail(self, maps: Tensor) -> Tensor:
        """The last group and the head."""
        embedding: Tensor = self.head(self.trunk[self.middle :](maps))
        return embedding

    def behind_stem(self) -> nn.Module:
        """The last group, with its batch norm and ReLU."""
        return self.trunk[self.middle :]
