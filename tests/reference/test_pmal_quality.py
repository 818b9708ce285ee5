"""The rivals of robustness in PMAL's Table 4 against their definitions written as loops."""

import math
import statistics

import pytest
import torch
from torch import nn

from osr_core.methods.pmal import quality
from osr_core.methods.pmal.quality import dropout_probabilities, log_probability, log_steadiness

LOGITS = torch.randn(
    3, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)  # S classifiers, N images, K classes
LABEL = torch.arange(9) % 4


def naive_probability(logits: list[float], label: int) -> float:
    """softmax(logits)[label]."""
    return math.exp(logits[label]) / sum(map(math.exp, logits))


def test_probability_is_that_of_the_own_class() -> None:
    """Not the largest one: an image that is taken for another class is a bad prototype."""
    expected = [
        naive_probability(row, y) for row, y in zip(LOGITS[0].tolist(), LABEL.tolist(), strict=True)
    ]
    assert log_probability(LOGITS[0], LABEL).exp().tolist() == pytest.approx(expected)


def test_probability_does_not_underflow() -> None:
    """Its logarithm orders images that float64 takes for impossible."""
    log_r = log_probability(torch.tensor([[0.0, 2000.0], [0.0, 3000.0]]), torch.tensor([0, 0]))
    assert log_r.tolist() == [-2000, -3000]


def test_steadiness_equals_the_loop() -> None:
    """Variance over classifiers, then exp(-(v - min v) / h) with the median at one half."""
    own = torch.stack([log_probability(logits, LABEL).exp() for logits in LOGITS])
    variances = [statistics.pvariance(column) for column in own.T.tolist()]
    least = min(variances)
    h = (statistics.median(variances) - least) / math.log(2)
    expected = [math.exp(-(v - least) / h) for v in variances]
    assert log_steadiness(own).exp().tolist() == pytest.approx(expected)
    assert sorted(expected)[4] == pytest.approx(0.5)
    assert max(expected) == 1


def test_classifiers_that_agree_are_all_steady() -> None:
    """No division by a spread of zero."""
    own = torch.full((2, 5), 0.25, dtype=torch.float64)
    assert log_steadiness(own).tolist() == [0] * 5


def test_dropout_halves_the_embedding_and_keeps_its_mean() -> None:
    """One weight of 1: the kept halves are doubled, so logits are 0 or 2, each half of the time."""
    head = nn.Linear(1, 2, bias=False)
    head.weight.data.copy_(torch.tensor([[1.0], [0.0]]))
    label, generator = torch.zeros(500, dtype=torch.int64), torch.Generator().manual_seed(0)
    drawn = dropout_probabilities(torch.ones(500, 1), head, label, generator)
    assert drawn.shape == (quality.PASSES, 500)
    kept = drawn > 0.6
    expected = torch.where(kept, math.e**2 / (1 + math.e**2), 0.5).double()
    torch.testing.assert_close(drawn, expected, rtol=1e-6, atol=0)
    assert float(kept.double().mean()) == pytest.approx(0.5, abs=0.02)
    assert len({tuple(row.tolist()) for row in kept}) == quality.PASSES


def test_dropout_leaves_the_global_generator_alone() -> None:
    """Draws come from the generator that is given, so mining twice gives the same."""
    embedding, head = torch.randn(7, 3), nn.Linear(3, 4)
    label = torch.zeros(7, dtype=torch.int64)
    before = torch.get_rng_state()
    first, again = (
        dropout_probabilities(embedding, head, label, torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
