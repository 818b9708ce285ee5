"""CAC's loss and score against section 3 of the paper written as loops in float64."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from osr_core.methods.cac import anchor_distances, cac_score, cac_terms, log_least_score

ALPHA = 10.0
ANCHORS = ALPHA * torch.eye(4, dtype=torch.float64)
Z = torch.tensor(
    [[10.0, 0.0, 0.0, 0.0], [2.0, 7.0, -1.0, 0.5], [0.0, 0.0, 0.0, 0.0], [-3.0, 1.0, 12.0, 4.0]],
    dtype=torch.float64,
)
LABEL = torch.tensor([0, 3, 1, 2])


def naive_distances(z: Tensor) -> list[list[float]]:
    """d_j = ||z - alpha e_j||, not squared."""
    return [
        [
            math.sqrt(sum((v - (ALPHA if i == j else 0)) ** 2 for i, v in enumerate(row)))
            for j in range(len(row))
        ]
        for row in z.tolist()
    ]


def naive_terms(d: list[list[float]], label: list[int]) -> tuple[float, float]:
    """L_T = log(1 + sum_{j != y} exp(d_y - d_j)) and L_A = d_y, means over images."""
    tuplet = anchor = 0.0
    for row, y in zip(d, label, strict=True):
        tuplet += math.log(1 + sum(math.exp(row[y] - v) for j, v in enumerate(row) if j != y))
        anchor += row[y]
    return tuplet / len(d), anchor / len(d)


def naive_score(d: list[list[Any]], exp: Callable[[Any], Any] = math.exp) -> list[list[Any]]:
    """The smaller d_j is than the others, the more it shrinks: gamma = d * (1 - softmin(d))."""
    scores = []
    for row in d:
        total = sum(exp(-v) for v in row)
        scores.append([v * (1 - exp(-v) / total) for v in row])
    return scores


def test_distances_equal_the_formula() -> None:
    """They are Euclidean and in float64, also for float32 logits, as in the authors' code."""
    distances = anchor_distances(Z.float(), ANCHORS.float())
    assert distances.dtype == torch.float64
    torch.testing.assert_close(distances, torch.tensor(naive_distances(Z)).double())


def test_terms_equal_the_formula() -> None:
    """The true class is left out of its own sum, whichever class it is."""
    tuplet, anchor = cac_terms(anchor_distances(Z, ANCHORS), LABEL)
    expected = naive_terms(naive_distances(Z), LABEL.tolist())
    assert (float(tuplet), float(anchor)) == pytest.approx(expected, rel=1e-12)


def test_terms_on_an_anchor() -> None:
    """By hand: z on its anchor has d_y = 0 and three others at 10 sqrt(2)."""
    tuplet, anchor = cac_terms(anchor_distances(Z[:1], ANCHORS), LABEL[:1])
    assert float(anchor) == 0
    assert float(tuplet) == pytest.approx(math.log(1 + 3 * math.exp(-10 * math.sqrt(2))))


def test_terms_do_not_overflow() -> None:
    """exp(d_y - d_j) alone would: early in training distances reach hundreds."""
    tuplet, _ = cac_terms(torch.tensor([[2000.0, 0.0]], dtype=torch.float64), torch.tensor([0]))
    assert float(tuplet) == 2000


def test_score_equals_the_formula() -> None:
    """The smallest entry is the unknown score, and its class the answer."""
    distances = anchor_distances(Z, ANCHORS)
    torch.testing.assert_close(
        cac_score(distances), torch.tensor(naive_score(naive_distances(Z))).double()
    )
    assert torch.equal(cac_score(distances).argmin(1), distances.argmin(1))


def test_the_least_score_equals_the_formula_in_many_digits() -> None:
    """Also where the others are farther by hundreds; on an anchor it is 0, its logarithm -inf."""
    gaps = [0.0, 1.0, 36.0, 40.0, 800.0]
    distances = torch.tensor([[3.0 + gap, 3.0, 4.0 + gap] for gap in gaps]).double()
    for row, logarithm in zip(distances.tolist(), log_least_score(distances), strict=True):
        with localcontext(prec=500):
            least = naive_score([[Decimal(v) for v in row]], Decimal.exp)
            expected = float(min(least[0]).ln())
        assert float(logarithm) == pytest.approx(expected, rel=1e-13)
    on_an_anchor = torch.tensor([[0.0, 14.0]]).double()
    assert float(log_least_score(on_an_anchor)) == -math.inf


def test_gradients() -> None:
    """Of both terms and of the score against finite differences, away from the anchors."""
    z = Z[1:].clone().requires_grad_()
    label = LABEL[1:]
    assert torch.autograd.gradcheck(lambda x: cac_terms(anchor_distances(x, ANCHORS), label), z)
    assert torch.autograd.gradcheck(lambda x: cac_score(anchor_distances(x, ANCHORS)), z)


def test_gradient_is_finite_on_an_anchor() -> None:
    """The root of zero has no slope; training may land there."""
    z = Z[:1].clone().requires_grad_()
    _, anchor = cac_terms(anchor_distances(z, ANCHORS), LABEL[:1])
    anchor.backward()
    assert z.grad is not None
    assert torch.equal(z.grad, torch.zeros_like(z))
