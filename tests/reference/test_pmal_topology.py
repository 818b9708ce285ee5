"""PMAL's robustness against section 4.1 of the paper written as loops in float64."""

import math
from itertools import combinations
from statistics import correlation, fmean, pstdev

import pytest
import torch
from torch import Tensor

from osr_core.methods.pmal import topology
from osr_core.methods.pmal.topology import (
    centred,
    cross_distances,
    log_robustness,
    pair_errors,
    reference_images,
)


def draw(seed: int, *shape: int) -> Tensor:
    """Normal numbers, the same in every order of tests."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEMBERS = [draw(seed, 11, 4) for seed in range(3)]


def naive_distances(points: Tensor) -> list[list[float]]:
    """All distances between rows."""
    rows = points.tolist()
    return [[math.dist(first, second) for second in rows] for first in rows]


def zscores(row: list[float]) -> list[float]:
    """Numbers less their mean, over their standard deviation."""
    mean, deviation = fmean(row), pstdev(row)
    return [(value - mean) / deviation for value in row]


def naive_log_robustness(members: list[Tensor], mode: str) -> list[float]:
    """Of r_i = exp(-e_i), the mean over pairs of members, and its logarithm."""
    seen = [naive_distances(points) for points in members]
    num = len(seen[0])
    if mode == "median":
        for u, d in enumerate(seen):
            mean = sum(map(sum, d)) / num**2
            seen[u] = [[value / mean for value in row] for row in d]
    elif mode == "relative":
        seen = [[[value / fmean(row) for value in row] for row in d] for d in seen]
    elif mode == "row_correlation":
        seen = [[zscores(row) for row in d] for d in seen]
    robustness = [0.0] * num
    pairs = list(combinations(seen, 2))
    for first, second in pairs:
        e = [math.dist(first[i], second[i]) for i in range(num)]
        if mode != "literal":
            e = [value / math.sqrt(num) for value in e]
        if mode not in ("literal", "sqrt_n"):
            least, middle = min(e), sorted(e)[num // 2]
            h = (middle - least) / math.log(2)
            e = [(value - least) / h for value in e]
        robustness = [r + math.exp(-value) for r, value in zip(robustness, e, strict=True)]
    return [math.log(r / len(pairs)) for r in robustness]


@pytest.mark.parametrize("num_members", [2, 3])
@pytest.mark.parametrize("mode", topology.MODES)
def test_robustness_equals_the_loops(mode: str, num_members: int) -> None:
    """Two members as in the paper, and the mean over three pairs of three."""
    members = MEMBERS[:num_members]
    log_r = log_robustness(members, mode)
    assert log_r.tolist() == pytest.approx(naive_log_robustness(members, mode), abs=1e-7)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are taken in blocks so that no N x N matrix is made."""
    whole = log_robustness(MEMBERS, "median")
    monkeypatch.setattr(topology, "BLOCK", 4)
    torch.testing.assert_close(log_robustness(MEMBERS, "median"), whole, rtol=0, atol=1e-7)


def test_distance_equals_the_printed_one() -> None:
    """d_M = sqrt((z_i - z_j) A A^T (z_i - z_j)^T), A = W - mean_k w_k, whatever the bias."""
    z = draw(3, 6, 5)
    weight = draw(4, 5, 3)
    bias = draw(5, 3)
    a = weight - weight.mean(1, keepdim=True)
    points = centred(z @ weight + bias)
    printed = torch.zeros(6, 6, dtype=torch.float64)
    for i in range(6):
        for j in range(6):
            difference = z[i] - z[j]
            printed[i, j] = (difference @ a @ a.T @ difference).clamp_min(0).sqrt()
    torch.testing.assert_close(cross_distances(points, points), printed, rtol=1e-9, atol=1e-12)


def test_an_error_of_standardised_rows_is_their_correlation() -> None:
    """E = sqrt(2 - 2 rho): the closer the correlation of both rows is to 1, the more robust."""
    first, second = (naive_distances(points) for points in MEMBERS[:2])
    rho = [correlation(one, other) for one, other in zip(first, second, strict=True)]
    everyone = torch.arange(len(MEMBERS[0]))
    errors = pair_errors(MEMBERS[0], MEMBERS[1], everyone, topology.standardised)
    assert errors.tolist() == pytest.approx([math.sqrt(2 - 2 * each) for each in rho], abs=1e-6)


@pytest.mark.parametrize("mode", ["relative", "row_correlation"])
def test_an_image_of_longer_logits_is_as_robust(mode: str) -> None:
    """A far image whose logits one member makes 1.2 times longer sees all others as before but for
    a factor. `median` calls it the least robust, though its place among the others is the same.
    """
    near = draw(9, 40, 4)
    far = torch.tensor([[1000.0, 0, 0, 0]], dtype=torch.float64)
    members = [torch.cat([near, far]), torch.cat([near + 0.1 * draw(10, 40, 4), 1.2 * far])]
    assert int(log_robustness(members, "median").argmin()) == 40
    assert float(log_robustness(members, mode)[40]) > float(log_robustness(members, mode).median())


def test_members_that_agree_are_perfectly_robust() -> None:
    """A turned copy has the same topology: e = 0; and no division by zero in any mode."""
    turn, _ = torch.linalg.qr(draw(6, 4, 4))
    everyone = torch.arange(len(MEMBERS[0]))
    assert float(pair_errors(MEMBERS[0], MEMBERS[0] @ turn, everyone).max()) < 1e-6
    for mode in topology.MODES:
        log_r = log_robustness([MEMBERS[0], MEMBERS[0]], mode)
        assert torch.equal(log_r, torch.zeros_like(log_r))


@pytest.mark.parametrize("mode", ["median", "relative", "row_correlation"])
def test_scaled_modes_are_free_of_scale_and_span_one_half(mode: str) -> None:
    """A member whose logits are ten times larger is as robust; the median image has r = 1/2."""
    log_r = log_robustness(MEMBERS[:2], mode)
    scaled = log_robustness([MEMBERS[0], 10 * MEMBERS[1]], mode)
    torch.testing.assert_close(log_r, scaled)
    assert float(log_r.max()) == 0
    assert float(log_r.exp().median()) == pytest.approx(0.5)


def test_literal_mode_does_not_underflow() -> None:
    """exp(-e) is 0 in float32 for thousands of images; its logarithm is not."""
    log_r = log_robustness([1000 * member for member in MEMBERS[:2]], "literal")
    assert float(log_r.exp().max()) == 0
    assert torch.isfinite(log_r).all()
    assert len(log_r.unique()) == len(log_r)


def test_a_subset_of_references_estimates_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond MAX_REFERENCES the mean is over a fixed random subset."""
    first, second = draw(7, 400, 4), draw(8, 400, 4)
    exact = pair_errors(first, second, reference_images(400))
    monkeypatch.setattr(topology, "MAX_REFERENCES", 200)
    estimate = pair_errors(first, second, reference_images(400))
    assert not torch.equal(exact, estimate)
    torch.testing.assert_close(estimate, exact, rtol=0.2, atol=0)
    assert torch.equal(estimate, pair_errors(first, second, reference_images(400)))
