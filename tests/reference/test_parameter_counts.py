"""WRN and ResNet: their sizes to the parameter, and their layers against the papers' formulas."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, build_backbone, resolve_backbone
from osr_core.backbones.wrn import Block
from osr_core.data.batches import Batch
from osr_core.errors import ConfigError
from osr_core.methods.base import make_optimizer
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Training

SMALL = {
    # Of 4 channels, torch 2.13 computes a gradient beyond its memory on CPUs without AVX-512.
    "wrn": {"depth": 10, "widen": 0.5},
    "resnet18": {"stem": "small"},
    "resnet50": {"stem": "imagenet"},
    "cgdl": {"width": 0.25},
}


def count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def network(name: str, *, image_size: int = 32, channels: int = 3, **settings: object) -> Backbone:
    """A backbone with all its settings."""
    values = {"name": name, **settings}
    return build_backbone(resolve_backbone(values, image_size=image_size, channels=channels))


def wrn_count(depth: int, widen: int, channels: int) -> int:
    """Layer by layer: 3x3 convolutions without biases, batch norms, 1x1 shortcuts."""
    total, before = 9 * channels * 16, 16
    for base in (16, 32, 64):
        width = base * widen
        for number in range((depth - 4) // 6):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
            total += before * width if number == 0 and (base > 16 or before != width) else 0
            before = width
    return total + 2 * before


def test_wrn_40_4_has_the_published_number_of_parameters() -> None:
    """Nine million: what RPL, PMAL and CSSR call WRN-40-4, without biases in convolutions."""
    assert wrn_count(40, 4, 3) == 8_946_640
    assert count(network("wrn")) == 8_946_640
    assert count(network("wrn", channels=1)) == 8_946_640 - 2 * 9 * 16
    assert count(Softmax(network("wrn"), 6, Softmax.Config())) == 8_946_640 + 6 * 256 + 6
    assert wrn_count(28, 10, 3) == 36_472_784


@pytest.mark.parametrize(("depth", "widen"), [(10, 1), (16, 2), (28, 1)])
def test_wrn_of_any_depth_and_width_is_counted(depth: int, widen: int) -> None:
    """At widen 1 the first group keeps its 16 channels and has no shortcut convolution."""
    assert count(network("wrn", depth=depth, widen=widen)) == wrn_count(depth, widen, 3)


@pytest.mark.parametrize(
    ("name", "trunk", "dim", "with_1000_classes"),
    [("resnet18", 11_176_512, 512, 11_689_512), ("resnet50", 23_508_032, 2048, 25_557_032)],
)
def test_resnets_have_the_published_numbers_of_parameters(
    name: str, trunk: int, dim: int, with_1000_classes: int
) -> None:
    """23.5 million in ResNet-50's trunk; with ImageNet's classes the numbers that all quote."""
    backbone = network(name, stem="imagenet", image_size=224)
    assert (count(backbone), backbone.dim) == (trunk, dim)
    assert count(Softmax(backbone, 1000, Softmax.Config())) == with_1000_classes
    stem = {"imagenet": 49 * 64, "small": 9 * 64}
    small = network(name, stem="small", channels=1)
    assert count(small) == trunk - 3 * stem["imagenet"] + stem["small"]


def test_a_depth_that_is_no_wrns_is_refused() -> None:
    """Three groups of blocks of two, and four layers besides."""
    with pytest.raises(ConfigError, match=r"depth must be 6 n \+ 4, .* not 20"):
        resolve_backbone({"name": "wrn", "depth": 20}, image_size=32, channels=3)


@pytest.mark.parametrize(("before", "width", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2)])
def test_a_block_is_preactivated(before: int, width: int, stride: int) -> None:
    """BN, ReLU, conv, twice; where the shape changes the shortcut starts after the first ReLU."""
    torch.manual_seed(0)
    block, x = Block(before, width, stride, 0.0).double(), torch.randn(3, before, 6, 6).double()

    def normalised(maps: Tensor) -> Tensor:
        mean = maps.mean((0, 2, 3), keepdim=True)
        variance = (maps - mean).square().mean((0, 2, 3), keepdim=True)
        return (maps - mean) / (variance + 1e-5).sqrt()

    activated = normalised(x).clamp(min=0)
    inner = F.conv2d(activated, block.conv1.weight, stride=stride, padding=1)
    expected = F.conv2d(normalised(inner).clamp(min=0), block.conv2.weight, padding=1)
    if before == width:
        assert block.shortcut is None
        expected = expected + x
    else:
        expected = expected + F.conv2d(activated, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    ("name", "settings", "sides"),
    [
        ("wrn", SMALL["wrn"], {16: 4, 20: 5, 32: 8, 64: 16}),
        ("resnet18", {"stem": "small"}, {16: 2, 32: 4, 64: 8}),
        ("resnet18", {"stem": "imagenet"}, {32: 1, 64: 2, 224: 7}),
    ],
)
def test_last_maps_have_the_papers_size(
    name: str, settings: dict[str, object], sides: dict[int, int]
) -> None:
    """A quarter of the side in WRN, an eighth or a 32nd in ResNet; pooling takes any."""
    for image_size, side in sides.items():
        backbone = network(name, image_size=image_size, channels=1, **settings).eval()
        seen: list[tuple[int, ...]] = []
        pooling = next(m for m in backbone.modules() if isinstance(m, nn.AdaptiveAvgPool2d))
        pooling.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(inputs[0].shape))
        with torch.no_grad():
            embedding = backbone(torch.rand(2, 1, image_size, image_size))
        assert embedding.shape == (2, backbone.dim)
        assert seen == [(2, backbone.dim, side, side)]


@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_training_reaches_every_weight(name: str) -> None:
    """In the loop's memory format, normalised by buffers, with a biased classifier as published."""
    torch.manual_seed(0)
    backbone = network(name, channels=1, **SMALL[name])
    assert {"normalize.mean", "normalize.std"} <= backbone.state_dict().keys()
    assert backbone.head_bias
    method = Softmax(backbone, 3, Softmax.Config()).to(memory_format=torch.channels_last)
    images = torch.rand(4, 1, 32, 32).contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.tensor([0, 1, 2, 0]), torch.arange(4))
    method.train_step(batch, {"main": make_optimizer(method.parameters(), Training())})
    still = [
        n for n, p in method.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert still == []


def test_proser_s_network_drops_between_a_block_s_convolutions() -> None:
    """WRN-28-10 with dropout 0.3 (Zhou et al., code); dropout has no weights."""
    options = {"depth": 10, "widen": 0.25, "channels": 1}
    plain, dropping = network("wrn", **options), network("wrn", **options, dropout=0.3)
    blocks = [m for m in dropping.modules() if isinstance(m, Block)]
    assert [block.dropout.p for block in blocks] == [0.3] * 3
    dropping.load_state_dict(plain.state_dict())
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(dropping.eval()(images), plain.eval()(images))
    seen: list[torch.Tensor] = []
    blocks[0].dropout.register_forward_hook(lambda _, inputs, out: seen.extend([inputs[0], out]))
    blocks[0].norm2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    blocks[0].conv1.register_forward_hook(lambda _, inputs, out: seen.append(out))
    dropping.train()(images)
    convolved, before, dropped, normed = seen
    assert torch.equal(convolved, before)
    assert torch.equal(dropped, normed)
    assert 0.1 < (dropped == 0).float().mean() < 0.5


@pytest.mark.parametrize("name", SMALL)
def test_stem_and_tail_are_the_whole(name: str) -> None:
    """Manifold mixup mixes between the two."""
    backbone = network(name, **SMALL[name]).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        maps = backbone.stem(images)
        assert maps.shape[1:] != images.shape[1:]
        assert torch.equal(backbone.tail(maps), backbone(images))
        behind = backbone.behind_stem()(maps)
        assert torch.equal(behind, backbone.stages(images)[-1])
        assert torch.equal(backbone.pool(behind), backbone(images))


@pytest.mark.parametrize("name", ["wrn", "resnet18"])
def test_convolutions_start_by_kaimings_rule(name: str) -> None:
    """Fan-out: standard deviation sqrt(2 / (k k width)), the replaced first layer included."""
    torch.manual_seed(0)
    backbone = network(name, **({"depth": 10} if name == "wrn" else {}))
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    for layer in (convolutions[0], convolutions[-1]):
        fan_out = layer.kernel_size[0] ** 2 * layer.out_channels
        assert float(layer.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
