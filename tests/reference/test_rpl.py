"""RPL's loss and scores against the paper's formulas written as loops in float64."""

import math

import pytest
import torch
from torch import Tensor

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.methods.cpn import scaled_distances
from osr_core.methods.rpl import RPL, open_space_loss

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
POINTS = torch.randn(3, 2, 4, generator=GENERATOR, dtype=torch.float64)
RADIUS = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1, 1, 0])


def rpl(num_known: int = 3, **settings: object) -> RPL:
    """RPL on the network of the OSR tables, in float64."""
    network = {"name": "osrci", "head": "gap"}
    backbone = build_backbone(resolve_backbone(network, image_size=32, channels=3))
    return RPL(backbone, num_known, RPL.Config(**settings)).double()


def placed(points: Tensor, radius: Tensor, **settings: object) -> RPL:
    """RPL with these points (K, M, D) and radii (K,); its network is not asked."""
    method = rpl(len(points), points=points.shape[1], **settings)
    method.points.data, method.radius.data = points.clone(), radius.clone()
    return method


def distance(z: list[float], point: list[float]) -> float:
    """||z - P||^2 / D."""
    return sum((a - b) ** 2 for a, b in zip(z, point, strict=True)) / len(z)


def naive_farness(z: list[float], points: list[list[list[float]]]) -> list[float]:
    """(1/M) sum_j d(z, P_kj) for each class."""
    return [sum(distance(z, p) for p in of_class) / len(of_class) for of_class in points]


def test_losses_equal_the_formula() -> None:
    """Far is likely; the open-space term is the mean over the class's own points."""
    losses = placed(POINTS, RADIUS, gamma=0.3, open_space_weight=0.7).losses_at(EMBEDDING, LABEL)
    cross_entropy = open_space = 0.0
    for z, y in zip(EMBEDDING.tolist(), LABEL.tolist(), strict=True):
        weights = [math.exp(0.3 * d) for d in naive_farness(z, POINTS.tolist())]
        cross_entropy -= math.log(weights[y] / sum(weights)) / 5
        for point in POINTS[y].tolist():
            open_space += 0.7 * (distance(z, point) - float(RADIUS[y])) ** 2 / 2 / 5
    assert losses["cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-10)
    assert losses["open_space"].item() == pytest.approx(open_space, rel=1e-10)


def test_prediction_by_hand() -> None:
    """Squares 9 and 25, halved as D = 2: farther from what class 1 is not, so it is class 1."""
    points = torch.tensor([[[0.0, 0.0]], [[3.0, 5.0]]]).double()
    z = torch.tensor([[3.0, 0.0]]).double()
    by_distance = placed(points, torch.zeros(2).double(), gamma=0.5).predict(z)
    assert by_distance.logits.tolist() == [[2.25, 6.25]]
    assert by_distance.unknown_score.item() == -12.5
    method = placed(points, torch.zeros(2).double(), gamma=0.5, rejection="probability")
    by_probability = method.predict(z)
    assert torch.equal(by_probability.logits, by_distance.logits)
    assert by_probability.unknown_score.item() == pytest.approx(2.25 - 6.25)  # of two classes


def test_farness_is_the_mean_over_points() -> None:
    """Not the nearest, as a prototype's would be."""
    farness = placed(POINTS, RADIUS).farness(EMBEDDING)
    for b, z in enumerate(EMBEDDING.tolist()):
        assert farness[b].tolist() == pytest.approx(naive_farness(z, POINTS.tolist()))


def test_open_space_is_bounded_on_both_sides() -> None:
    """By hand: 4 against a radius of 3 and 1 against 3; the other class's radius is not asked."""
    distances = torch.tensor([[[4.0], [9.0]], [[9.0], [1.0]]])
    loss = open_space_loss(distances, torch.tensor([3.0, 3.0]), torch.tensor([0, 1]))
    assert float(loss) == ((4 - 3) ** 2 + (1 - 3) ** 2) / 2


def test_gradients() -> None:
    """Of the open-space term against finite differences, in embeddings, points and radii."""
    inputs = [tensor.clone().requires_grad_() for tensor in (EMBEDDING, POINTS, RADIUS)]
    assert torch.autograd.gradcheck(
        lambda z, points, radius: open_space_loss(scaled_distances(z, points), radius, LABEL),
        inputs,
    )


@pytest.mark.parametrize("points", [1, 3])
def test_a_class_costs_m_vectors_and_a_radius(points: int) -> None:
    """K M D + K parameters beyond the network's 999,104; radii begin at 0."""
    method = rpl(6, points=points)
    assert sum(p.numel() for p in method.parameters()) == 999_104 + 6 * points * 128 + 6
    assert not method.radius.any()
