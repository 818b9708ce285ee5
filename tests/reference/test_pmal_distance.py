"""PMAL's point-to-set distance and margin against section 4.3 of the paper written as loops."""

import math

import pytest
import torch

from osr_core.methods.pmal.distance import attention_distances, margin_loss, nearest_distances

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
PROTOTYPES = torch.randn(3, 6, 4, generator=GENERATOR, dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1, 1, 0])


def dot(first: list[float], second: list[float]) -> float:
    """Scalar product."""
    return sum(a * b for a, b in zip(first, second, strict=True))


def cosine_distance(first: list[float], second: list[float]) -> float:
    """1 - cos."""
    return 1 - dot(first, second) / math.sqrt(dot(first, first) * dot(second, second))


def naive_attention(z: list[float], prototypes: list[list[float]]) -> float:
    """The prototypes' mean, weighted by softmax(z . p / sqrt(D)), and its cosine distance to z."""
    weights = [math.exp(dot(z, p) / math.sqrt(len(z))) for p in prototypes]
    attended = [
        sum(w * p[axis] for w, p in zip(weights, prototypes, strict=True)) / sum(weights)
        for axis in range(len(z))
    ]
    return cosine_distance(z, attended)


def test_attention_distance_equals_the_loops() -> None:
    """The Gram matrix's short cut is exact."""
    distances = attention_distances(EMBEDDING, PROTOTYPES)
    for b, z in enumerate(EMBEDDING.tolist()):
        expected = [naive_attention(z, prototypes) for prototypes in PROTOTYPES.tolist()]
        assert distances[b].tolist() == pytest.approx(expected, rel=1e-10)


def test_nearest_distance_equals_the_loops() -> None:
    """Table 3's point to point."""
    distances = nearest_distances(EMBEDDING, PROTOTYPES)
    for b, z in enumerate(EMBEDDING.tolist()):
        expected = [min(cosine_distance(z, p) for p in ps) for ps in PROTOTYPES.tolist()]
        assert distances[b].tolist() == pytest.approx(expected, rel=1e-10)


def test_distance_to_one_prototype() -> None:
    """By hand: same direction 0, right angle 1, opposite 2; repeating a prototype is no news."""
    z = torch.tensor([[2.0, 0.0]])
    prototypes = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]], [[-0.5, 0.0]]])
    for distance in (attention_distances, nearest_distances):
        assert distance(z, prototypes)[0].tolist() == pytest.approx([0, 1, 2])
        repeated = distance(z, prototypes.repeat(1, 4, 1))
        assert repeated[0].tolist() == pytest.approx([0, 1, 2])


def test_a_prototype_at_the_origin_is_no_division_by_zero() -> None:
    """Embeddings of a dead network."""
    for distance in (attention_distances, nearest_distances):
        assert torch.isfinite(distance(EMBEDDING, torch.zeros(3, 6, 4).double())).all()


def test_margin_loss_equals_the_loop() -> None:
    """[d_y - min_{k != y} d_k + delta]_+, mean over the batch."""
    distances = attention_distances(EMBEDDING, PROTOTYPES)
    total = 0.0
    for row, y in zip(distances.tolist(), LABEL.tolist(), strict=True):
        total += max(0.0, row[y] - min(d for k, d in enumerate(row) if k != y) + 0.5)
    assert float(margin_loss(distances, LABEL, 0.5)) == pytest.approx(total / 5)


def test_margin_loss_by_hand() -> None:
    """0.1 against 0.3 misses the margin of 0.5 by 0.3; 0.1 against 0.7 keeps it."""
    distances = torch.tensor([[0.1, 0.3, 0.9], [0.8, 0.7, 0.1]])
    loss = margin_loss(distances, torch.tensor([0, 2]), 0.5)
    assert float(loss) == pytest.approx(0.3 / 2)


def test_gradients() -> None:
    """Against finite differences, through the attention and the margin."""
    embedding = EMBEDDING.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: attention_distances(z, PROTOTYPES), embedding)
    assert torch.autograd.gradcheck(
        lambda z: margin_loss(attention_distances(z, PROTOTYPES), LABEL, 0.5), embedding
    )
