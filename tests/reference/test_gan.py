"""The GAN of OSRCI and G-OpenMax: sizes, penalty to the second order, a step by hand."""

import copy
import math

import pytest
import torch
from narrow import NUM_KNOWN, batch_of
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from osr_core.backbones import build_backbone
from osr_core.methods.base import count_parameters
from osr_core.methods.decoder import Decoder
from osr_core.methods.gan.gan import GAN, gradient_penalty, network_of, normalised
from osr_core.recipes import Training, by_adam

ADAM = by_adam(Training(), epochs=1, lr=1e-3, beta1=0.5)


def small(image_size: int = 16, channels: int = 1, **settings: object) -> GAN:
    """Three networks of few weights, without dropout, whose draws two readings cannot share."""
    torch.manual_seed(0)
    config = GAN.Config(latent=3, gan_width=0.05, **settings)
    network = network_of({"image_size": image_size, "channels": channels}, config.gan_width)
    gan = GAN(build_backbone({**network, "dropout": 0.0}), NUM_KNOWN, config)
    for module in gan.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    return gan


def test_the_published_sizes() -> None:
    """At 32 pixels in colour, with the weights of E, G and D as the code makes them."""
    network = network_of({"image_size": 32, "channels": 3}, 1.0)
    gan = GAN(build_backbone(network), 6, GAN.Config())
    assert count_parameters(gan.backbone, gan.to_latent) == 1_072_832
    assert count_parameters(gan.generator) == 2_661_123
    assert count_parameters(gan.discriminator) == 1_003_201


@pytest.mark.parametrize(("side", "maps"), [(16, 2), (20, 3), (28, 4), (32, 4), (64, 8)])
def test_a_decoder_makes_images_of_any_side(side: int, maps: int) -> None:
    """What is more than the side is cut off."""
    decoder = Decoder(3, maps, side, 1, 0.01, nn.Sigmoid())
    images = decoder(torch.randn(2, 3, maps, maps)).detach()
    assert images.shape == (2, 1, side, side)
    assert 0 < float(images.min()) < float(images.max()) < 1


def test_a_discriminator_sees_each_image_and_the_batch() -> None:
    """By w . [f, exp(-mean_batch f)] + b, number by number in float64."""
    judge = small().discriminator.double().eval()
    images = batch_of(3).images.double()
    features, (weight,) = judge.trunk(images).tolist(), judge.head.weight.tolist()
    dim = len(features[0])
    means = [sum(f[i] for f in features) / 3 for i in range(dim)]
    for f, found in zip(features, judge(images).tolist(), strict=True):
        seen = [*f, *(math.exp(-mean) for mean in means)]
        expected = sum(w * x for w, x in zip(weight, seen, strict=True)) + judge.head.bias.item()
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_decoder_rectifies_before_it_normalises_and_keeps_the_upper_left() -> None:
    """LeakyReLU(0.01), then a batch norm, image by image and map by map; 12 pixels of 16."""
    torch.manual_seed(0)
    decoder = Decoder(3, 2, 12, 1, 0.01, nn.Tanh()).double().train()
    maps = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    first, *rest = [layer for layer in decoder.layers if isinstance(layer, nn.ConvTranspose2d)]
    norms = [layer for layer in decoder.layers if isinstance(layer, nn.BatchNorm2d)]
    x = first(maps)
    for deconv, norm in zip(rest, norms, strict=False):
        x = deconv(x)
        x = torch.where(x > 0, x, 0.01 * x)
        for c in range(x.shape[1]):
            mean, variance = x[:, c].mean(), x[:, c].var(correction=0)
            normal = (x[:, c] - mean) / (variance + 1e-5).sqrt()
            x = x.index_copy(
                1, torch.tensor([c]), (norm.weight[c] * normal + norm.bias[c])[:, None]
            )
    whole = torch.tanh(rest[-1](x))
    assert (len(rest), len(norms), whole.shape[2:]) == (3, 2, (16, 16))
    torch.testing.assert_close(decoder(maps), whole[:, :, :12, :12])


def test_every_position_of_a_latent_has_length_one() -> None:
    """Across its channels; the code normalises four channels of a flattening together."""
    z = normalised(torch.randn(2, 5, 3, 4))
    for b in range(2):
        for i in range(3):
            for j in range(4):
                length = math.sqrt(sum(float(z[b, c, i, j]) ** 2 for c in range(5)))
                assert length == pytest.approx(1, rel=1e-6)
    gan = small()
    lengths = gan.encode(batch_of(3).images).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


class Bowl(nn.Module):
    """D(x) = tanh(w . x)^2 + a term of the batch's mean, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 8).double())

    def forward(self, x: Tensor) -> Tensor:
        """(B,)."""
        each = torch.tanh(x.flatten(1) @ self.weight) ** 2
        return each + (x.mean() * self.weight.sum() + self.weight[0] * x.mean() ** 2)


@pytest.mark.parametrize("how", ["pixel", "image"])
def test_the_penalty_equals_the_loop_and_can_be_differentiated(how: str) -> None:
    """Slopes of the sum over the batch, which D's mean over it ties together; and the gradient by
    the weights, of second order, against finite differences.
    """
    x = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    judge = Bowl()
    slopes = jacobian(lambda at: judge(at).sum(), x)
    terms = []
    for b in range(3):
        if how == "image":
            terms.append((math.sqrt(float((slopes[b] ** 2).sum())) - 1) ** 2)
            continue
        for i in range(2):
            for j in range(2):
                over_colours = sum(float(slopes[b, c, i, j]) ** 2 for c in range(2))
                terms.append((math.sqrt(over_colours) - 1) ** 2)
    with torch.no_grad():
        found = gradient_penalty(judge, x, how)
    assert float(found.detach()) == pytest.approx(sum(terms) / len(terms), rel=1e-12)

    def by_weight(weight: Tensor) -> Tensor:
        return gradient_penalty(
            lambda at: torch.func.functional_call(judge, {"weight": weight}, (at,)), x, how
        )

    assert torch.autograd.gradcheck(by_weight, judge.weight.detach().clone().requires_grad_())


def slow_penalty(slope: Tensor, how: str) -> Tensor:
    """() mean of (||slope|| - 1)^2 over all pixels of images (B, C, H, W), or over the images."""
    if how == "image":
        return torch.stack([(each.pow(2).sum().sqrt() - 1) ** 2 for each in slope]).mean()
    return ((slope.pow(2).sum(1).sqrt() - 1) ** 2).mean()


def slow_step(gan: GAN, images: Tensor, how: str) -> dict[str, float]:
    """Discriminator, generator, then encoder and generator, by plain optimisers and logarithms."""
    encoder = [*gan.backbone.parameters(), *gan.to_latent.parameters()]
    generator, judge = list(gan.generator.parameters()), gan.discriminator
    settings = {"lr": 1e-3, "betas": (0.5, 0.999)}
    by_generator = torch.optim.Adam(generator, **settings)

    def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        own = optimizer.param_groups[0]["params"]
        for parameter, slope in zip(
            own, torch.autograd.grad(loss, own, retain_graph=True), strict=True
        ):
            parameter.grad = slope
        optimizer.step()

    z = gan.encode(images)
    noise = torch.randn(z.shape)
    fakes = gan.generator(noise / noise.norm(dim=1, keepdim=True)).detach()
    t = torch.rand(len(images), 1, 1, 1)
    between = (t * images + (1 - t) * fakes).requires_grad_()
    fake = (1 + judge(fakes).exp()).log().mean()
    real = 0.1 * (1 + (-judge(images)).exp()).log().mean()
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    penalty = 2 * slow_penalty(slope, how)
    step(torch.optim.Adam(judge.parameters(), **settings), fake + real + penalty)
    deceived = -0.1 * judge(gan.generator(z.detach())).mean()
    step(by_generator, deceived)
    error = (images - gan.generator(z)).abs().mean()
    both = [*encoder, *generator]
    slopes = torch.autograd.grad(error, both)
    for parameter, own in zip(both, slopes, strict=True):
        parameter.grad = own
    torch.optim.Adam(encoder, **settings).step()
    by_generator.step()
    terms = {"reconstruction": error, "generator": deceived}
    terms |= {"fake": fake, "real": real, "penalty": penalty}
    return {name: float(term.detach()) for name, term in terms.items()}


@pytest.mark.parametrize("how", ["pixel", "image"])
def test_a_step_is_the_published_one(how: str) -> None:
    """Three steps one after the other, the generator's two with one state: all weights agree,
    whatever the penalised norm is over.
    """
    ours = small(channels=3, adversarial_weight=0.1, penalty_weight=2.0, penalty=how).train()
    slow, images = copy.deepcopy(ours), batch_of(4, channels=3).images
    before = {name: value.clone() for name, value in ours.named_parameters()}
    torch.manual_seed(5)
    terms = ours.train_step(batch_of(4)._replace(images=images), ours.optimizers(ADAM))
    torch.manual_seed(5)
    expected = slow_step(slow, images, how)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected, rel=1e-5)
    for name, parameter in slow.named_parameters():
        torch.testing.assert_close(
            dict(ours.named_parameters())[name], parameter, rtol=1e-4, atol=2e-5, msg=name
        )
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("player", ["encoder", "generator", "discriminator"])
def test_each_network_moves_its_own_weights(player: str) -> None:
    """With the others' rates at 0 nothing else changes."""
    gan, batch = small().train(), batch_of(4)
    optimizers = gan.optimizers(ADAM)
    for role, optimizer in optimizers.items():
        optimizer.param_groups[0]["lr"] *= float(role == player)
    before = {name: value.clone() for name, value in gan.named_parameters()}
    gan.train_step(batch, optimizers)
    moved = {n.split(".")[0] for n, v in gan.named_parameters() if not torch.equal(v, before[n])}
    assert moved == ({"backbone", "to_latent"} if player == "encoder" else {player})
