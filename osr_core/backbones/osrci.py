"""The network of the counterfactual-images paper, known as classifier32.

Nine 3x3 convolutions (padding 1, no bias), each with batch norm and LeakyReLU(0.2):

    conv1 C -> 64, conv2 64 -> 64, conv3 64 -> 128 stride 2
    conv4, conv5 128 -> 128, conv6 stride 2
    conv7, conv8 128 -> 128, conv9 stride 2

    head "flatten"  D = 128 (S/8)^2 and a biased classifier (OSRCI, CAC)
    head "gap"      D = 128, global average pooling and a classifier without bias (ARPL, Vaze)

Channel dropout stands before conv1, conv4 and conv7 (OSRCI, ARPL, Vaze: the first one drops whole
colour channels) or after each triple (CAC). A grey image has but one channel and is not dropped:
the papers repeat grey images in three channels, of which one in 125 images loses all, not one in 5.

Source: Neal et al., "Open set learning with counterfactual images", ECCV 2018. Parameters with
`width=1`: 999,104 in the trunk for colour images, 997,952 for grey.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from osr_core.backbones.base import Backbone, BackboneConfig, walked
from osr_core.config import setting

STRIDES = (1, 1, 2, 1, 1, 2, 1, 1, 2)
WIDTHS = (64, 64, 128, 128, 128, 128, 128, 128, 128)


class OSRCI(Backbone):
    """Nine convolutions and a head."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BackboneConfig):
        """Width, head, dropout and initialisation."""

        width: float = setting(1.0, "multiplier of every convolution's width", above=0, at_most=100)
        head: str = setting("gap", "how maps become an embedding", choices=("flatten", "gap"))
        dropout: float = setting(0.2, "rate of the channel dropout", at_least=0, below=1)
        dropout_at: str = setting(
            "before",
            "before the convolutions 1, 4, 7 or after 3, 6, 9",
            choices=("before", "after"),
        )
        init: str = setting(
            "normal",
            "normal: convolutions N(0, 0.05), batch norm N(1, 0.02) (OSRCI, ARPL, Vaze); "
            "kaiming: fan-out, a classifier N(0, 0.01) with bias 0 (CAC)",
            choices=("normal", "kaiming"),
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        widths = [max(1, round(config.width * width)) for width in WIDTHS]
        layers: list[nn.Module] = []
        before, size = config.channels or 0, config.image_size or 0
        self.ends: list[int] = []  # of the three resolutions, in layers
        self.stage_sides: list[int] = []
        for number, (width, stride) in enumerate(zip(widths, STRIDES, strict=True)):
            if number == 6:
                self.middle = len(layers)
            if config.dropout_at == "before" and number % 3 == 0 and before > 1:
                layers.append(nn.Dropout2d(config.dropout))
            layers += [
                nn.Conv2d(before, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            if config.dropout_at == "after" and number % 3 == 2:
                layers.append(nn.Dropout2d(config.dropout))
            before, size = width, -(-size // stride)
            if number % 3 == 2:
                self.ends.append(len(layers))
                self.stage_sides.append(size)
        self.trunk = nn.Sequential(*layers)
        self.stage_channels = widths[2::3]
        pooled = config.head == "gap"
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if pooled else nn.Flatten()
        self.dim = before if pooled else before * size * size
        self.head_bias = not pooled
        self.init = config.init
        self.trunk.apply(_init_normal if config.init == "normal" else _init_kaiming)

    def forward(self, images: Tensor) -> Tensor:
        embedding: Tensor = self.head(self.trunk(self.normalize(images)))
        return embedding

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """After the convolutions 3, 6 and 9, and the dropout behind them."""
        return walked(self.trunk, self.normalize(images), self.ends)

    def pool(self, maps: Tensor) -> Tensor:
        embedding: Tensor = self.head(maps)
        return embedding

    def classifier(self, num_known: int) -> nn.Module:
        """One linear layer, initialised as `init` says."""
        head = super().classifier(num_known)
        if self.init == "kaiming":
            head.apply(_init_linear)
        return head

    def stem(self, images: Tensor) -> Tensor:
        """The convolutions 1 to 6."""
        maps: Tensor = self.trunk[: self.middle](self.normalize(images))
        return maps

    def tail(self, maps: Tensor) -> Tensor:
        """The convolutions 7 to 9 and the head."""
        embedding: Tensor = self.head(self.trunk[self.middle :](maps))
        return embedding

    def behind_stem(self) -> nn.Module:
        """The convolutions 7 to 9."""
        return self.trunk[self.middle :]


def _init_normal(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0, 0.05)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, 0.02)


def _init_kaiming(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out")


def _init_linear(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.01)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
