"""Softmax against cross-entropy written as a loop."""

import math

import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.errors import ConfigError
from osr_core.methods.softmax import Softmax, one_vs_rest, smoothed_cross_entropy

LOGITS = torch.tensor([[2.0, 0.0, -1.5], [0.5, 0.5, 3.0]], dtype=torch.float64)
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


def test_one_against_the_rest_equals_the_loop() -> None:
    """Neal et al.: softplus(-t l) with t = +1 for the label and -1 for the others, one mean."""
    total = 0.0
    for row, y in zip(LOGITS.tolist(), LABEL.tolist(), strict=True):
        for k, value in enumerate(row):
            total += math.log(1 + math.exp(-value if k == y else value))
    assert float(one_vs_rest(LOGITS, LABEL)) == pytest.approx(total / LOGITS.numel(), rel=1e-12)


def test_one_against_the_rest_has_the_loop_s_gradient() -> None:
    """By hand -t / (1 + exp(t l)) of each of B K logits, and against finite differences."""
    logits = LOGITS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(one_vs_rest(logits, LABEL), logits)
    for row, y, found in zip(LOGITS.tolist(), LABEL.tolist(), slope.tolist(), strict=True):
        signs = [1 if k == y else -1 for k in range(len(row))]
        expected = [-t / (1 + math.exp(t * v)) for t, v in zip(signs, row, strict=True)]
        assert found == pytest.approx([each / LOGITS.numel() for each in expected], rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: one_vs_rest(x, LABEL), logits)


def test_one_against_the_rest_is_low_for_a_sure_and_right_image() -> None:
    """By hand: l = (9, -9), y = 0 costs log(1 + exp(-9)) twice; the other way round, 9 more."""
    right, wrong = (
        one_vs_rest(torch.tensor([[9.0, -9.0]]).double(), torch.tensor([y])) for y in (0, 1)
    )
    assert float(right) == pytest.approx(math.log1p(math.exp(-9)))
    assert float(wrong) == pytest.approx(9 + math.log1p(math.exp(-9)))


def test_the_loss_is_the_one_asked_for() -> None:
    """And has no label smoothing, which would be ignored."""
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=1)
    method = Softmax(build_backbone(network), 3, Softmax.Config(loss="one_vs_rest"))
    embedding = torch.randn(2, method.backbone.dim)
    found = method.losses_at(embedding, LABEL)["cross_entropy"]
    torch.testing.assert_close(found, one_vs_rest(method.head(embedding), LABEL))
    with pytest.raises(ConfigError, match="has no label_smoothing"):
        Softmax.Config(loss="one_vs_rest", label_smoothing=0.1)
