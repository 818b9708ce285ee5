"""CGDL on the paper's own network: its size to the parameter, and its ladder by plain calls."""

import pytest
import torch
from narrow import NUM_KNOWN, batch_of
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.methods.base import count_parameters
from osr_core.methods.cgdl.flat import FlatLadder
from osr_core.methods.cgdl.method import CGDL


def cgdl(image_size: int, channels: int, num_known: int, width: float, latent: int) -> CGDL:
    """On the encoder of the paper."""
    network = {"name": "cgdl", "width": width}
    resolved = resolve_backbone(network, image_size=image_size, channels=channels)
    return CGDL(build_backbone(resolved), num_known, CGDL.Config(latent=latent))


@pytest.mark.parametrize(
    ("image_size", "width", "latent", "encoder", "decoder"),
    [
        (28, 1, 32, 120_982_474, 170_367_885),  # padded to 32, as there
        (32, 1, 32, 120_982_474, 170_367_885),
        (32, 0.25, 8, 7_562_746, 10_678_509),
    ],
)
def test_it_has_the_published_number_of_parameters(
    image_size: int, width: float, latent: int, encoder: int, decoder: int
) -> None:
    """291,350,781 for six classes in colour, nearly all fully connected; made without memory."""
    with torch.device("meta"):
        method = cgdl(image_size, 3, 6, width, latent)
    ladder = method.ladder
    assert isinstance(ladder, FlatLadder)
    up = count_parameters(method.backbone, ladder.up, ladder.top)
    assert up == encoder
    assert count_parameters(method.backbone, ladder) == encoder + decoder
    heads = (latent * 6 + 6) + (6 * latent + latent)
    assert method.num_parameters() == encoder + decoder + heads
    if width == 1:
        assert method.num_parameters() == 291_350_781
        linear = [layer for layer in ladder.modules() if isinstance(layer, nn.Linear)]
        assert count_parameters(*linear) == 279_068_864
        sides = [layer.in_features for layer in (ladder.up[0].mean, ladder.top.mean)]
        assert sides == [64 * 32 * 32, 512]
        latents = [head.mean.out_features for head in ladder.up]
        assert latents == [512, 512, 256, 256, 128, 128, 64, 64, 32]


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Rows of x times W^T, plus b."""
    return x @ layer.weight.T + layer.bias


def heads(of: nn.Module, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and softplus of the variance, of flattened maps."""
    flat = maps.reshape(len(maps), -1)
    return linear(of.mean, flat), (1 + linear(of.variance, flat).exp()).log() + 1e-6


def prelu(layer: nn.Module, x: Tensor) -> Tensor:
    """One slope for all."""
    return torch.where(x > 0, x, layer.weight * x)


def step(of: nn.Module, z: Tensor, channels: int, side: int, finer: int) -> Tensor:
    """Linear, PReLU, a deconvolution of 1 or 2, and the middle of it."""
    maps = prelu(of.activation, linear(of.linear, z).reshape(len(z), channels, side, side))
    stride = of.deconv.weight.shape[2]
    up = F.conv_transpose2d(maps, of.deconv.weight, of.deconv.bias, stride=stride)
    cut = (up.shape[2] - finer) // 2
    return up[:, :, cut : cut + finer, cut : cut + finer]


@pytest.mark.parametrize("image_size", [16, 20])
def test_the_ladder_equals_the_formulas(image_size: int) -> None:
    """In eval mode, z = mu: step by step in float64, with the gradients of every weight."""
    torch.manual_seed(0)
    method = cgdl(image_size, 1, NUM_KNOWN, 0.05, 2).double().eval()
    images = batch_of(3, image_size=image_size).images.double()
    ladder, maps = method.ladder, method.backbone.stages(images)
    sides = list(method.backbone.stage_sides)
    assert len(maps) == 10
    climbed = ladder(*maps)
    mu, v = heads(ladder.top, maps[-1])
    z, lower = mu, torch.zeros(3).double()
    for i in range(8, -1, -1):
        x = step(ladder.steps[i], z, maps[i + 1].shape[1], sides[i + 1], sides[i])
        down_mu, down_v = heads(ladder.down[i], x / (1 + 1e-5) ** 0.5)  # no statistics yet
        up_mu, up_v = heads(ladder.up[i], maps[i])
        q_v = 1 / (1 / down_v + 1 / up_v)
        q_mu = q_v * (down_mu / down_v + up_mu / up_v)
        pair = Normal(q_mu, q_v.sqrt()), Normal(down_mu, down_v.sqrt())
        lower, z = lower + kl_divergence(*pair).sum(1), q_mu
    made = torch.sigmoid(step(ladder.to_image, z, maps[0].shape[1], sides[0], image_size))
    torch.testing.assert_close(climbed.top.mean, mu)
    torch.testing.assert_close(climbed.top.variance, v)
    torch.testing.assert_close(climbed.images, made)
    torch.testing.assert_close(climbed.divergence, lower)
    assert made.shape == images.shape
    weights = list(ladder.parameters())
    ours = torch.autograd.grad(
        climbed.images.sum() + climbed.divergence.sum(),
        weights,
        retain_graph=True,
        allow_unused=True,
    )
    slow = torch.autograd.grad(made.sum() + lower.sum(), weights, allow_unused=True)
    for own, expected in zip(ours, slow, strict=True):
        if expected is not None:
            torch.testing.assert_close(own, expected)


def test_a_step_of_training_reaches_every_weight() -> None:
    """The encoder's ten layers among them."""
    torch.manual_seed(0)
    method = cgdl(16, 1, NUM_KNOWN, 0.05, 2).train()
    sum(method.losses(batch_of(8)).values()).backward()
    still = [n for n, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_the_encoder_is_the_papers() -> None:
    """Batch norms have no weights, PReLUs one; every second layer halves; 28 pixels become 32."""
    resolved = resolve_backbone({"name": "cgdl"}, image_size=28, channels=1)
    with torch.device("meta"):
        layers = list(build_backbone(resolved).trunk)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == [
        *(64, 64, 128, 128, 256, 256, 512, 512, 512, 512)
    ]
    assert [conv.stride[0] for conv in convolutions] == [1, 2] * 5
    assert [conv.kernel_size[0] for conv in convolutions] == [1] + [3] * 9
    assert convolutions[0].padding == (2, 2)
    assert not any(layer.affine for layer in layers if isinstance(layer, nn.BatchNorm2d))
    assert all(p.weight.numel() == 1 for p in layers if isinstance(p, nn.PReLU))
