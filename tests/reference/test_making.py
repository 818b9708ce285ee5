"""How OSRCI and G-OpenMax make images, against loops in float64."""

import copy
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from narrow import NUM_KNOWN, batch_of, narrow, train_of
from torch import Tensor, nn

from osr_core.backbones import build_backbone
from osr_core.generators import generator_for
from osr_core.methods import g_openmax, osrci
from osr_core.methods.gan import generate
from osr_core.methods.gan.gan import GAN, network_of
from osr_core.methods.gan.generate import Make, Makers
from osr_core.methods.softmax import Softmax
from osr_core.tensors import from_bytes

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


CANDIDATES, FAKES = 5, 5  # an odd number of candidates: their share cannot be one half
TASK = {"dataset": "made", "known": [0, 1, 2], "split": 0}


def slow_candidates(by: Makers, count: int, draws: torch.Generator) -> list[dict[str, Any]]:
    """All images between two that a batch of the stage can choose from, one by one in float64."""
    gan, classifier = copy.deepcopy(by.gan).double(), copy.deepcopy(by.classifier).double()
    found = []
    for _ in range(CANDIDATES):
        first, second = (torch.randint(6, (count,), generator=draws).tolist() for _ in range(2))
        share = torch.rand(count, generator=draws).tolist()
        for one, two, t in zip(first, second, share, strict=True):
            z = t * encoded(gan, by, one) + (1 - t) * encoded(gan, by, two)
            image = gan.generator(z)
            logits = classifier.head(classifier.backbone(image))[0].tolist()
            p = max(map(math.exp, logits)) / sum(map(math.exp, logits))
            found.append({"index": [one, two], "image": image[0].detach(), "certainty": p})
    return found


def test_the_stage_keeps_the_least_certain_of_its_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each batch's 5 for every image wanted, and tells of how many p was below one half."""
    by, kept, candidates = makers(), [], []
    monkeypatch.setattr(generate, "makers_of", lambda context, config: by)
    monkeypatch.setattr(generate, "BATCH", 4)
    settings = {"name": "g_openmax", "fakes": FAKES, "candidates": CANDIDATES}
    context: Any = SimpleNamespace(checkpoint=SimpleNamespace(load=lambda: None, due=lambda: False))
    made = g_openmax.interpolations(context, {"method": settings, "task": TASK, "seed": 0})
    for number, count in enumerate((4, FAKES - 4)):
        draws = generator_for("gan.generate", "g_openmax", *TASK.values(), 0, number)
        found = slow_candidates(by, count, draws)
        candidates += found
        kept += sorted(found, key=lambda each: each["certainty"])[:count]
    tensors, _ = from_bytes(made.artifacts[generate.FAKES])
    assert tensors["index"].tolist() == [each["index"] for each in kept]
    levels = torch.stack([each["image"] for each in kept]) * 255
    assert float((tensors["images"] - levels).abs().max()) < 1.01  # cut to whole levels
    certainty = [each["certainty"] for each in kept]
    assert made.metrics["generate/certainty"] == pytest.approx(sum(certainty) / FAKES, rel=1e-4)
    below = sum(each["certainty"] < 0.5 for each in candidates)
    assert 0 < below < len(candidates) == CANDIDATES * FAKES
    assert made.metrics["generate/below_half"] == pytest.approx(below / len(candidates))
