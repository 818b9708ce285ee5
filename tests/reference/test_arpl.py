"""ARPL's logits, losses and score against the formulas written as loops in float64."""

import math

import pytest
import torch
from torch import Tensor

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data import BENCHMARKS
from osr_core.methods.arpl import ARPL, margin_loss, reciprocal_distances, reciprocal_logits
from osr_core.training import drop_epochs, lr_factor

Z = torch.tensor([[1.0, 1.0], [0.0, 3.0], [-2.0, 0.5]], dtype=torch.float64)
POINTS = torch.tensor([[1.0, -1.0], [0.0, 0.0], [2.0, 1.0], [-1.0, 0.5]], dtype=torch.float64)
LABEL = torch.tensor([0, 3, 1])
RADIUS = torch.tensor(1.5, dtype=torch.float64)


def naive_distance(z: list[float], p: list[float]) -> float:
    """||z - P||^2 / D."""
    return sum((a - b) ** 2 for a, b in zip(z, p, strict=True)) / len(z)


def naive_logit(z: list[float], p: list[float]) -> float:
    """||z - P||^2 / D - z . P."""
    return naive_distance(z, p) - sum(a * b for a, b in zip(z, p, strict=True))


def table(function: object) -> list[list[float]]:
    """`function` of every pair of an embedding and a point."""
    return [[function(z, p) for p in POINTS.tolist()] for z in Z.tolist()]  # type: ignore[operator]


def small_method(**settings: float) -> ARPL:
    """ARPL on a network with D = 2, its points and radius as above, in float64."""
    network = resolve_backbone({"width": 2 / 128}, image_size=16, channels=1)
    method = ARPL(build_backbone(network), 4, ARPL.Config(**settings)).double()
    with torch.no_grad():
        method.points.copy_(POINTS)
        method.radius.copy_(RADIUS)
    return method.requires_grad_(False)


def test_distances_and_logits_equal_the_formula() -> None:
    """By hand too: (1, 1) and (1, -1) are 4 / 2 apart and at right angles."""
    distances, logits = reciprocal_distances(Z, POINTS), reciprocal_logits(Z, POINTS)
    torch.testing.assert_close(distances, torch.tensor(table(naive_distance)).double())
    torch.testing.assert_close(logits, torch.tensor(table(naive_logit)).double())
    assert float(distances[0, 0]) == float(logits[0, 0]) == 2
    assert float(logits[0, 2]) == 0.5 - 3


def test_margin_equals_the_formula() -> None:
    """By hand: d_y = 2 of the first image gives 2 - 1.5 + 1."""
    rows = zip(table(naive_distance), LABEL.tolist(), strict=True)
    expected = sum(max(0.0, row[y] - 1.5 + 1) for row, y in rows) / 3
    distances = reciprocal_distances(Z, POINTS)
    assert float(margin_loss(distances, RADIUS, LABEL)) == pytest.approx(expected, rel=1e-12)
    assert float(margin_loss(distances[:1], RADIUS, LABEL[:1])) == 1.5


def test_margin_is_nothing_well_inside_the_radius() -> None:
    """It bounds the known classes; it does not draw them nearer than R - 1."""
    far = torch.tensor(3.0001, dtype=torch.float64)
    assert float(margin_loss(reciprocal_distances(Z[:1], POINTS), far, LABEL[:1])) == 0


def test_terms_equal_the_formula() -> None:
    """Cross-entropy of l / T, and lambda times the margin, at a T and a lambda not the default."""
    terms = small_method(temperature=2.0, margin_weight=0.3).losses_at(Z, LABEL)
    cross_entropy = 0.0
    for row, y in zip(table(naive_logit), LABEL.tolist(), strict=True):
        total = sum(math.exp(value / 2) for value in row)
        cross_entropy -= math.log(math.exp(row[y] / 2) / total) / 3
    assert float(terms["cross_entropy"]) == pytest.approx(cross_entropy, rel=1e-12)
    margin = margin_loss(reciprocal_distances(Z, POINTS), RADIUS, LABEL)
    assert float(terms["margin"]) == pytest.approx(0.3 * float(margin), rel=1e-12)


def test_score_is_the_largest_logit_turned_round() -> None:
    """Far from all of what the classes are not is known."""
    prediction = small_method().predict(Z)
    expected = torch.tensor([-max(row) for row in table(naive_logit)]).double()
    torch.testing.assert_close(prediction.unknown_score, expected)
    assert prediction.logits.argmax(1).tolist() == [
        row.index(max(row)) for row in table(naive_logit)
    ]


def test_gradients() -> None:
    """Of the logits, and of the margin away from its hinge, against finite differences."""

    def inputs() -> list[Tensor]:
        return [t.clone().requires_grad_() for t in (Z, POINTS)]

    assert torch.autograd.gradcheck(reciprocal_logits, inputs())
    radius = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    margin = lambda z, p, r: margin_loss(reciprocal_distances(z, p), r, LABEL)  # noqa: E731
    assert torch.autograd.gradcheck(margin, [*inputs(), radius])


def test_points_begin_near_zero() -> None:
    """N(0, 0.1^2), and a radius of 0, in the authors' code."""
    torch.manual_seed(0)
    network = resolve_backbone({}, image_size=8, channels=1)
    method = ARPL(build_backbone(network), 100, ARPL.Config()).requires_grad_(False)
    assert float(method.points.std()) == pytest.approx(0.1, rel=0.05)
    assert float(method.radius) == 0


@pytest.mark.parametrize(
    ("name", "optimizer", "padding", "flip"),
    [
        ("mnist", "sgd", 0, False),
        ("digits", "sgd", 0, False),
        ("svhn", "sgd", 4, True),
        ("cifar10", "sgd", 4, True),
        ("tinyimagenet", "adam", 4, True),
    ],
)
def test_published_recipe_is_the_authors(
    name: str, optimizer: str, padding: int, flip: bool
) -> None:
    """SVHN is flipped there too; MNIST is not augmented at all."""
    training = ARPL.published(BENCHMARKS[name]).training
    assert (training.optimizer, training.epochs, training.batch_size) == (optimizer, 100, 64)
    assert training.lr == (0.001 if optimizer == "adam" else 0.1)
    assert training.weight_decay == (0 if optimizer == "adam" else 1e-4)
    assert drop_epochs(training) == [30, 60, 90]
    assert lr_factor(training, 99) == pytest.approx(1e-3)
    assert (training.augmentation.crop_padding, training.augmentation.flip) == (padding, flip)
