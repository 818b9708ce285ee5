"""OpenMax against algorithms 1 and 2 of the paper: scipy's Weibull, and recalibration as a loop."""

import math
from decimal import Decimal, localcontext

import pytest
import torch
from scipy.stats import weibull_min
from torch import Tensor

from osr_core.methods.openmax import (
    distances_to,
    fit_tail,
    osrci_score,
    paper_score,
    recalibrate,
    weibull_hazard,
)

LOGITS = torch.tensor([[8.0, 1.0, 3.0, 0.0], [0.5, 0.4, 0.0, 0.2], [0.0, 5.0, 5.0, 1.0]]).double()
CDF = torch.tensor([[0.1, 1.0, 0.8, 0.9], [0.9, 0.7, 1.0, 0.2], [0.0, 0.3, 0.6, 1.0]]).double()


def exponential(num: int) -> Tensor:
    """Distances with a tail: quantiles of the exponential distribution, in no order."""
    quantiles = -torch.log(1 - (torch.arange(num).double() + 0.5) / num)
    return quantiles[torch.randperm(num, generator=torch.Generator().manual_seed(0))]


def naive_recalibrated(v: list[float], cdf: list[float], alpha: int) -> tuple[float, list[float]]:
    """v'_0 and v'_k: the r-th best class loses (alpha - r + 1) / alpha F_k of its activation."""
    order = sorted(range(len(v)), key=lambda k: -v[k])
    known, unknown = list(v), 0.0
    for rank, k in enumerate(order, start=1):
        if rank <= alpha:
            omega = (alpha - rank + 1) / alpha * cdf[k]
            known[k] = v[k] * (1 - omega)
            unknown += v[k] * omega
    return unknown, known


def test_the_score_equals_the_printed_formula() -> None:
    """Algorithm 2 and the softmax over K + 1 activations, negative logits among them."""
    logits = LOGITS - 2
    for row, score in enumerate(paper_score(logits, CDF, 3).tolist()):
        unknown, known = naive_recalibrated(logits[row].tolist(), CDF[row].tolist(), 3)
        total = math.exp(unknown) + sum(map(math.exp, known))
        p_0 = math.exp(unknown) / total
        assert score == pytest.approx(math.log(p_0 / (1 - p_0)))


def naive_osrci(v: list[float], hazard: list[float]) -> Decimal:
    """-log sum_k exp(v_k (1 - F_k)), 1 - F = exp(-H): the evaluation code of Neal et al."""
    with localcontext(prec=600):
        terms = [(Decimal(a) * (-Decimal(h)).exp()).exp() for a, h in zip(v, hazard, strict=True)]
        return -sum(terms, Decimal(0)).ln()


def test_osrci_s_score_equals_its_loop() -> None:
    """Without ranks; log K, which moves all images alike, makes it 0 far from all classes."""
    logits, hazard = LOGITS - 2, -torch.log1p(-0.999 * CDF)
    for row, score in enumerate(osrci_score(logits, hazard).tolist()):
        rule = naive_osrci(logits[row].tolist(), hazard[row].tolist())
        assert score == pytest.approx(float(rule) + math.log(4), rel=1e-12)


def test_osrci_s_score_keeps_the_order_of_far_images() -> None:
    """1 - F of an image beyond all Weibulls rounds to 0, and all of these were tied; in float32
    those were that differ from log K by less than 1e-7. Signs of logits count as in the rule.
    """
    steps = torch.linspace(0, 1000, 21).double()
    rows = [(v, h) for v in ([8.0, -1.0, 3.0], [-2.0, 0.5, -1.0]) for h in steps.tolist()]
    logits = torch.tensor([v for v, _ in rows]).double()
    hazard = torch.tensor([[h, h + 1, h + 2] for _, h in rows]).double()
    scores = osrci_score(logits, hazard).float()
    rules = [naive_osrci(*row) for row in zip(logits.tolist(), hazard.tolist(), strict=True)]
    assert scores.argsort().tolist() == sorted(range(len(rules)), key=rules.__getitem__)
    assert len(scores.unique()) == len(rows)


def test_osrci_s_score_is_finite_at_the_ends() -> None:
    """Beyond a step nothing is left of a class; large logits of either sign do not overflow."""
    logits = torch.tensor([[3.0, -1.0], [0.0, 0.0], [900.0, 1.0], [-900.0, -900.0]]).double()
    hazard = torch.tensor([[torch.inf, torch.inf], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]).double()
    expected = [0, 0, math.log(2) - 900, 900]
    assert osrci_score(logits, hazard).tolist() == pytest.approx(expected)


def test_a_sure_image_stays_known_by_hand() -> None:
    """By hand: v = (4, -2), F = (0, 1), alpha = 2: omega = (0, 1/2), v'_0 = -1, v' = (4, -1)."""
    logits, cdf = torch.tensor([[4.0, -2.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    expected = -1 - math.log(math.exp(4) + math.exp(-1))
    assert float(paper_score(logits, cdf, 2)) == pytest.approx(expected)
    hazard = torch.tensor([[0.0, torch.inf]]).double()
    assert float(osrci_score(logits, hazard)) == pytest.approx(-math.log((math.exp(4) + 1) / 2))


@pytest.mark.parametrize("alpha", [1, 2, 4])
def test_recalibration_equals_the_loop(alpha: int) -> None:
    """Equal logits are ranked by class number, as Python's stable sort does."""
    unknown, known = recalibrate(LOGITS, CDF, alpha)
    for row in range(len(LOGITS)):
        expected = naive_recalibrated(LOGITS[row].tolist(), CDF[row].tolist(), alpha)
        assert float(unknown[row]) == pytest.approx(expected[0])
        assert known[row].tolist() == pytest.approx(expected[1])


def test_alpha_is_at_most_the_number_of_classes() -> None:
    """The default of 10 with 4 classes means 4, weights 1, 3/4, 1/2, 1/4."""
    for ten, four in zip(recalibrate(LOGITS, CDF, 10), recalibrate(LOGITS, CDF, 4), strict=True):
        assert torch.equal(ten, four)


def test_a_larger_omega_never_lowers_the_unknown() -> None:
    """With activations that are not negative; see the module's deviations for the others."""
    before, _ = recalibrate(LOGITS, CDF, 4)
    after, known = recalibrate(LOGITS, torch.ones_like(CDF), 4)
    assert (after >= before).all()
    assert (known <= LOGITS).all()


@pytest.mark.parametrize("num", [5, 20, 60])
def test_tail_is_fitted_as_scipy_does(num: int) -> None:
    """On the 20 largest distances, or all of fewer, the smallest of them moved to 1."""
    distances = exponential(num)
    largest = sorted(distances.tolist())[-20:]
    shape, _, scale = weibull_min.fit([d - largest[0] + 1 for d in largest], floc=0)
    assert fit_tail(distances, 20) == pytest.approx((shape, scale, largest[0]))


def test_fitted_shape_is_the_likeliest() -> None:
    """At the maximum of the likelihood: 1/k = sum x^k log x / sum x^k - mean log x."""
    distances = exponential(60)
    shape, scale, shift = fit_tail(distances, 20)
    x = (distances.topk(20).values - shift + 1).numpy()
    weighted = sum(v**shape * math.log(v) for v in x) / sum(v**shape for v in x)
    assert 1 / shape == pytest.approx(weighted - sum(map(math.log, x)) / len(x), abs=1e-4)
    assert scale == pytest.approx((sum(v**shape for v in x) / len(x)) ** (1 / shape), rel=1e-3)


def test_hazard_equals_scipy() -> None:
    """One Weibull for each column; zero for what lies more than 1 below the tail."""
    distances = torch.tensor([[0.0, 3.0], [2.5, 4.5], [9.0, 5.0]]).double()
    shape, scale, shift = (torch.tensor(v).double() for v in ([1.5, 4.0], [2.0, 1.2], [3.0, 4.0]))
    hazard = weibull_hazard(distances, shape, scale, shift)
    for column in range(2):
        expected = -weibull_min.logsf(
            distances[:, column].numpy() - float(shift[column]) + 1,
            float(shape[column]),
            scale=float(scale[column]),
        )
        assert hazard[:, column].tolist() == pytest.approx(expected.tolist())
    assert float(hazard[0, 0]) == 0


def test_a_tail_without_spread_becomes_a_step() -> None:
    """One image, or several at one distance, have no likeliest Weibull."""
    for distances in (torch.tensor([2.0]), torch.full((7,), 2.0)):
        fitted = (torch.tensor([v]) for v in fit_tail(distances.double(), 20))
        nearer, farther = weibull_hazard(torch.tensor([[1.99], [2.01]]).double(), *fitted)
        assert float(nearer) == 0
        assert float(farther) == torch.inf


def test_distances_equal_the_formulas() -> None:
    """By hand for a 3-4-5 triangle; eucos is Euclidean / 200 + (1 - cosine)."""
    activations, means = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    euclidean = distances_to(activations, means, "euclidean")
    cosine = distances_to(activations, means, "cosine")
    assert euclidean[0].tolist() == pytest.approx([4, 3])
    assert cosine[0].tolist() == pytest.approx([1 - 3 / 5, 1 - 4 / 5])
    eucos = distances_to(activations, means, "eucos")
    assert eucos[0].tolist() == pytest.approx([4 / 200 + 0.4, 3 / 200 + 0.2])
