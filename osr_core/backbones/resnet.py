"""Residual networks of 18 and 50 layers: torchvision's, without their classifier.

    stem "imagenet"  7x7 convolution with stride 2 and a max-pooling with stride 2, as published
    stem "small"     3x3 convolution with stride 1, no pooling: for images of 32 or 64 pixels
    head             global average pooling: D = 512 (18 layers) or 2048 (50), a biased classifier

Source: He et al., "Deep residual learning for image recognition", CVPR 2016; the small stem as in
that paper's networks for CIFAR-10. Parameters in the trunk for colour images and the published
stem: 11,176,512 and 23,508,032. Weights start at random; none are fetched.

The small stem is the default, since the published one leaves a single pixel of an image of 32.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from osr_core.backbones.base import Backbone, BackboneConfig, walked
from osr_core.config import setting


class ResNet(Backbone):
    """torchvision's network called `architecture`."""

    architecture: ClassVar[str]

    @dataclass(frozen=True, kw_only=True)
    class Config(BackboneConfig):
        """How the image enters."""

        stem: str = setting("small", "first layers", choices=("imagenet", "small"))

    head_bias = True

    def __init__(self, config: Config) -> None:
        from osr_core.vision import torchvision  # a second to import, of use here only

        super().__init__(config)
        whole: Any = getattr(torchvision.models, self.architecture)(weights=None)
        small = config.stem == "small"
        size, stride = (3, 1) if small else (7, 2)
        conv = nn.Conv2d(config.channels or 0, 64, size, stride, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        enter = [conv, whole.bn1, whole.relu] + ([] if small else [whole.maxpool])
        self.enter = nn.Sequential(*enter, whole.layer1, whole.layer2, whole.layer3)
        self.leave = nn.Sequential(whole.layer4, whole.avgpool, nn.Flatten())
        self.dim = whole.fc.in_features
        self.stage_channels = [self.dim // 8, self.dim // 4, self.dim // 2, self.dim]
        side = (config.image_size or 0) if small else -(-(config.image_size or 0) // 4)
        self.stage_sides = [-(-side // stride) for stride in (1, 2, 4, 8)]

    def forward(self, images: Tensor) -> Tensor:
        return self.tail(self.stem(images))

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """After each of the four groups of blocks."""
        end = len(self.enter)
        entered = walked(self.enter, self.normalize(images), (end - 2, end - 1, end))
        return *entered, self.leave[0](entered[-1])

    def pool(self, maps: Tensor) -> Tensor:
        embedding: Tensor = self.leave[1:](maps)
        return embedding

    def stem(self, images: Tensor) -> Tensor:
        """All but the last group of blocks."""
        maps: Tensor = self.enter(self.normalize(images))
        return maps

    def tail(self, maps: Tensor) -> Tensor:
        """The last group of blocks and the pooling."""
        embedding: Tensor = self.leave(maps)
        return embedding

    def behind_stem(self) -> nn.Module:
        """The last group of blocks."""
        return self.leave[0]


class ResNet18(ResNet):
    """18 layers, D = 512."""

    architecture = "resnet18"


class ResNet50(ResNet):
    """50 layers, D = 2048."""

    architecture = "resnet50"
