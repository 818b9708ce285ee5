"""RPL++ as we read it, written as loops in float64."""

import math

import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.methods.rpl import RPL
from osr_core.methods.rplpp import RPLPlusPlus

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
POINTS = torch.randn(3, 2, 4, generator=GENERATOR, dtype=torch.float64)
PROTOTYPES = torch.randn(3, 1, 4, generator=GENERATOR, dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1, 1, 0])


def rplpp(num_known: int = 3, **settings: object) -> RPLPlusPlus:
    """RPL++ on the network of the OSR tables, in float64."""
    network = {"name": "osrci", "head": "gap"}
    backbone = build_backbone(resolve_backbone(network, image_size=32, channels=3))
    return RPLPlusPlus(backbone, num_known, RPLPlusPlus.Config(**settings)).double()


def placed(**settings: object) -> RPLPlusPlus:
    """RPL++ with the points and prototypes above; its network is not asked."""
    method = rplpp(points=2, **settings)
    method.points.data, method.prototypes.data = POINTS.clone(), PROTOTYPES.clone()
    return method


def distance(z: list[float], point: list[float]) -> float:
    """||z - P||^2 / D."""
    return sum((a - b) ** 2 for a, b in zip(z, point, strict=True)) / len(z)


def naive_logits(z: list[float]) -> list[float]:
    """l_k: mean distance to the reciprocal points less that to the prototype."""
    return [
        sum(distance(z, p) for p in points) / len(points) - distance(z, prototype)
        for points, (prototype,) in zip(POINTS.tolist(), PROTOTYPES.tolist(), strict=True)
    ]


def test_losses_equal_the_reading() -> None:
    """Cross-entropy of the difference, RPL's regulariser as it is, and CPN's pull."""
    method = placed(gamma=0.3, prototype_weight=0.7)
    losses = method.losses_at(EMBEDDING, LABEL)
    cross_entropy = pull = 0.0
    for z, y in zip(EMBEDDING.tolist(), LABEL.tolist(), strict=True):
        weights = [math.exp(0.3 * value) for value in naive_logits(z)]
        cross_entropy -= math.log(weights[y] / sum(weights)) / 5
        pull += 0.7 * distance(z, PROTOTYPES[y, 0].tolist()) / 2 / 5
    assert losses["cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-10)
    assert losses["prototype"].item() == pytest.approx(pull, rel=1e-10)
    alone = RPL.losses_at(method, EMBEDDING, LABEL)
    assert losses["open_space"].item() == alone["open_space"].item() > 0


@pytest.mark.parametrize("rejection", ["distance", "probability"])
def test_scores_equal_the_reading(rejection: str) -> None:
    """The largest difference, or the largest probability, is missing in the unknown."""
    prediction = placed(gamma=0.3, rejection=rejection).predict(EMBEDDING)
    for b, z in enumerate(EMBEDDING.tolist()):
        logits = naive_logits(z)
        score = -max(logits)
        if rejection == "probability":
            p = math.exp(0.3 * max(logits)) / sum(math.exp(0.3 * value) for value in logits)
            score = math.log((1 - p) / p)
        assert prediction.logits[b].tolist() == pytest.approx([0.3 * value for value in logits])
        assert prediction.unknown_score[b].item() == pytest.approx(score)


def test_logits_are_linear_in_the_embedding() -> None:
    """As the docstring says: the squares cancel."""
    method = placed()
    at_ends, between = method.farness(EMBEDDING[:2]), method.farness(EMBEDDING[:2].mean(0)[None])
    torch.testing.assert_close(at_ends.mean(0)[None], between)


def test_gradients() -> None:
    """Of the sum of all terms against finite differences, in embeddings and all parameters."""
    method = placed(gamma=0.3)
    own = (method.points, method.prototypes, method.radius)
    z = EMBEDDING.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, *_: sum(method.losses_at(z, LABEL).values()), (z, *own)
    )


def test_a_class_costs_two_vectors_and_a_radius() -> None:
    """The count in PMAL's Table 2, which the reading rests on, leaves out the radius."""
    method = rplpp(6)
    assert sum(p.numel() for p in method.parameters()) == 999_104 + 2 * 6 * 128 + 6
