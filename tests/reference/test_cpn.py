"""CPN's loss and scores against the papers' formulas written as loops in float64."""

import math

import pytest
import torch
from torch import Tensor

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.methods.cpn import CPN, nearest_own, prototype_logits, scaled_distances

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
PROTOTYPES = torch.randn(3, 2, 4, generator=GENERATOR, dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1, 1, 0])
ON_AXES = torch.tensor([[[0.0, 0.0], [4.0, 0.0]], [[0.0, 3.0], [4.0, 3.0]]], dtype=torch.float64)


def cpn(num_known: int = 3, **settings: object) -> CPN:
    """CPN on the network of the OSR tables, in float64."""
    network = {"name": "osrci", "head": "gap"}
    backbone = build_backbone(resolve_backbone(network, image_size=32, channels=3))
    return CPN(backbone, num_known, CPN.Config(**settings)).double()


def placed(prototypes: Tensor, **settings: object) -> CPN:
    """CPN with these prototypes (K, M, D); its network is not asked."""
    method = cpn(len(prototypes), prototypes=prototypes.shape[1], **settings)
    method.prototypes.data = prototypes.clone()
    return method


def naive_distances(z: list[float], prototypes: list[list[list[float]]]) -> list[list[float]]:
    """||z - m_kj||^2 / D."""
    return [
        [sum((a - b) ** 2 for a, b in zip(z, m, strict=True)) / len(z) for m in of_class]
        for of_class in prototypes
    ]


def naive_probabilities(distances: list[list[float]], gamma: float) -> list[float]:
    """sum_j exp(-gamma d_kj) over the sum of all classes' prototypes."""
    total = sum(math.exp(-gamma * d) for of_class in distances for d in of_class)
    return [sum(math.exp(-gamma * d) for d in of_class) / total for of_class in distances]


def test_distances_equal_the_loops() -> None:
    """Squared, over D, one for each prototype of each class."""
    distances = scaled_distances(EMBEDDING, PROTOTYPES)
    for b, z in enumerate(EMBEDDING.tolist()):
        expected = torch.tensor(naive_distances(z, PROTOTYPES.tolist())).double()
        torch.testing.assert_close(distances[b], expected)


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_losses_equal_the_formula(gamma: float) -> None:
    """The pull has the factor 1/2 and is the nearest prototype's."""
    losses = placed(PROTOTYPES, gamma=gamma, prototype_weight=0.7).losses_at(EMBEDDING, LABEL)
    cross_entropy = pull = 0.0
    for z, y in zip(EMBEDDING.tolist(), LABEL.tolist(), strict=True):
        distances = naive_distances(z, PROTOTYPES.tolist())
        cross_entropy -= math.log(naive_probabilities(distances, gamma)[y]) / 5
        pull += 0.7 * min(distances[y]) / 2 / 5
    assert losses["cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-10)
    assert losses["prototype"].item() == pytest.approx(pull, rel=1e-10)


def test_losses_by_hand() -> None:
    """At (0, 1): squared distances 1 and 17 to class 0, 4 and 20 to class 1, halved as D = 2."""
    losses = placed(ON_AXES, gamma=1.0, prototype_weight=0.1).losses_at(
        torch.tensor([[0.0, 1.0]]).double(), torch.tensor([1])
    )
    own, other = math.exp(-2) + math.exp(-10), math.exp(-0.5) + math.exp(-8.5)
    assert losses["cross_entropy"].item() == pytest.approx(-math.log(own / (own + other)))
    assert losses["prototype"].item() == pytest.approx(0.1 * 2 / 2)


def test_distance_score_is_that_of_the_nearest_prototype() -> None:
    """By hand: (4, 2) is nearest to class 1's second prototype, at a squared distance of 1."""
    prediction = placed(ON_AXES, rejection="distance").predict(
        torch.tensor([[4.0, 2.0], [2.0, 50.0]]).double()
    )
    assert prediction.logits.argmax(1).tolist() == [1, 1]
    assert prediction.unknown_score.tolist() == pytest.approx([1 / 2, (4 + 47**2) / 2])


def test_probability_score_equals_the_formula() -> None:
    """It does not see what lies far from all classes, but in the direction of one."""
    method = placed(PROTOTYPES, gamma=0.3, rejection="probability")
    prediction = method.predict(EMBEDDING)
    for b, z in enumerate(EMBEDDING.tolist()):
        distances = naive_distances(z, PROTOTYPES.tolist())
        p = naive_probabilities(distances, 0.3)
        assert prediction.logits[b].softmax(0).tolist() == pytest.approx(p)
        odds = (1 - max(p)) / max(p)
        assert prediction.unknown_score[b].item() == pytest.approx(math.log(odds))


def test_defaults_are_the_published_ones() -> None:
    """GCPL in iCGY96/ARPL: gamma 1, lambda 0.1, largest probability; no test image chose them."""
    config = CPN.Config()
    assert (config.prototypes, config.gamma, config.prototype_weight) == (1, 1.0, 0.1)
    assert config.rejection == "probability"


def test_gradients() -> None:
    """Of both terms against finite differences, in the embeddings and in the prototypes."""
    z, points = EMBEDDING.clone().requires_grad_(), PROTOTYPES.clone().requires_grad_()

    def terms(z: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        distances = scaled_distances(z, points)
        return prototype_logits(distances, 0.3), nearest_own(distances, LABEL)

    assert torch.autograd.gradcheck(terms, (z, points))


def test_gradient_is_finite_on_a_prototype() -> None:
    """The distance is the square of a root, which has no slope at zero."""
    z = PROTOTYPES[0, :1].clone().requires_grad_()
    scaled_distances(z, PROTOTYPES)[0, 0, 0].backward()
    assert z.grad is not None
    assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("prototypes", [1, 3])
def test_a_class_costs_m_vectors(prototypes: int) -> None:
    """K M D parameters beyond the network's 999,104; there is no linear layer."""
    method = cpn(6, prototypes=prototypes)
    assert sum(p.numel() for p in method.parameters()) == 999_104 + 6 * prototypes * 128
