"""Softmax against cross-entropy written as a loop."""

import math

import pytest
import torch

from osr_core.methods.softmax import smoothed_cross_entropy

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
LABEL = torch.tensor([0, 1])


def naive(logits: torch.Tensor, label: torch.Tensor, smoothing: float) -> float:
    """Mean of -sum_k q_k log p_k, with q = 1 - e on the label and e / (K - 1) elsewhere."""
    total = 0.0
    for row, y in zip(logits.tolist(), label.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for k, value in enumerate(row):
            q = 1 - smoothing if k == y else smoothing / (len(row) - 1)
            total -= q * (value - normaliser)
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_loss_equals_the_formula(smoothing: float) -> None:
    """0.9 is what Vaze et al. release for TinyImageNet."""
    loss = smoothed_cross_entropy(LOGITS, LABEL, smoothing)
    assert float(loss) == pytest.approx(naive(LOGITS, LABEL, smoothing), rel=1e-12)


def test_smoothing_differs_from_torch() -> None:
    """PyTorch spreads e over all K classes, the paper over K - 1: its e is e K / (K - 1)."""
    ours = smoothed_cross_entropy(LOGITS, LABEL, 0.2)
    same = torch.nn.functional.cross_entropy(LOGITS, LABEL, label_smoothing=0.2)
    assert not torch.isclose(ours, same)
    converted = torch.nn.functional.cross_entropy(LOGITS, LABEL, label_smoothing=0.2 * 3 / 2)
    torch.testing.assert_close(ours, converted)


def test_gradient() -> None:
    """Against finite differences."""
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: smoothed_cross_entropy(x, LABEL, 0.3), logits)
