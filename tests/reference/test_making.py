"""How OSRCI and G-OpenMax make images, against loops in float64."""

import copy
from typing import Any

import pytest
import torch
from narrow import NUM_KNOWN, batch_of, narrow, train_of
from torch import Tensor, nn

from osr_core.backbones import build_backbone
from osr_core.methods import g_openmax, osrci
from osr_core.methods.gan.gan import GAN, network_of
from osr_core.methods.gan.generate import Make, Makers
from osr_core.methods.softmax import Softmax

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # ours is in float32


def makers() -> Makers:
    """A small GAN in eval mode, though with dropout, a classifier and six images."""
    torch.manual_seed(0)
    network = network_of({"image_size": 16, "channels": 1}, 0.05)
    gan = GAN(build_backbone(network), NUM_KNOWN, GAN.Config(latent=3, gan_width=0.05))
    classifier = narrow(Softmax)
    with torch.no_grad():
        classifier.head.weight *= 30  # logits that steer
        for layer in gan.generator.modules():  # images that tell latents apart
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight *= 4
    frozen = (network.eval().requires_grad_(False) for network in (gan, classifier))
    return Makers(*frozen, train_of(batch_of(6)))


def make_of(module: Any, making: str, settings: dict[str, Any], monkeypatch: Any) -> Make:
    """What a stage hands to the loop over batches."""
    monkeypatch.setattr(module, "generate", lambda context, config, make, **more: make)
    make: Make = getattr(module, making)(None, {"method": settings})
    return make


def normal(z: Tensor) -> Tensor:
    """Each position of latents (B, L, s, s) over its length."""
    return z / z.square().sum(1, keepdim=True).sqrt()


def encoded(gan: GAN, by: Makers, position: int) -> Tensor:
    """E(x) of a training image, by a GAN in float64."""
    image = by.train.take(torch.tensor([position])).double()
    return normal(gan.to_latent(gan.backbone.stages(image)[-1]))


def test_counterfactuals_descend_from_the_latents_of_their_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From E(x) by each image's own gradient, back to the sphere, and G of where it ends."""
    settings = {"steps": 3, "step": 0.2, "distance_weight": 0.7}
    make, by = make_of(osrci, "counterfactuals", settings, monkeypatch), makers()
    made = make(by, 4, torch.Generator().manual_seed(2))
    index = torch.randint(6, (4,), generator=torch.Generator().manual_seed(2))
    assert made["index"].tolist() == index[:, None].tolist()
    gan, classifier = (copy.deepcopy(network).double() for network in by[:2])
    for b, position in enumerate(index.tolist()):
        start = encoded(gan, by, position)
        z = start
        for _ in range(3):
            z = z.detach().requires_grad_()
            logits = classifier.head(classifier.backbone(gan.generator(z)))
            loss = (1 + logits.exp().sum()).log() + 0.7 * (z - start).square().sum()
            z = normal(z - 0.2 * torch.autograd.grad(loss, z)[0])
        torch.testing.assert_close(
            made["images"][b].double(), gan.generator(z)[0].detach(), **CLOSE
        )
        assert float(made["squared_distance"][b]) == pytest.approx(
            float((z - start).detach().square().sum()), rel=1e-3
        )
        assert float(made["squared_distance"][b]) > 1e-6


def test_interpolations_lie_on_the_chord_between_two_latents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Z = t E(x_1) + (1 - t) E(x_2), t for each image, and not put back on the sphere."""
    make, by = make_of(g_openmax, "interpolations", {"candidates": 1}, monkeypatch), makers()
    made = make(by, 4, torch.Generator().manual_seed(2))
    draws = torch.Generator().manual_seed(2)
    first, second = (torch.randint(6, (4,), generator=draws) for _ in range(2))
    share = torch.rand(4, 1, 1, 1, generator=draws).flatten().tolist()
    pairs = torch.stack([first, second], 1).tolist()
    assert sorted(made["index"].tolist()) == sorted(pairs)
    gan = copy.deepcopy(by.gan).double()
    told = made["interpolation"].tolist()
    for pair, image, own in zip(made["index"].tolist(), made["images"], told, strict=True):
        t = share[pairs.index(pair)]
        assert own == t
        one, two = (encoded(gan, by, p) for p in pair)
        expected = gan.generator(t * one + (1 - t) * two)[0]
        torch.testing.assert_close(image.double(), expected, **CLOSE)
