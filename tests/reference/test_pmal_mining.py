"""PMAL's candidates and Algorithm 1 against section 4.2 of the paper written as loops."""

import math

import pytest
import torch
from torch import Tensor

from osr_core.methods.pmal import mining
from osr_core.methods.pmal.mining import (
    SPREADS,
    at_random,
    candidates,
    k_centres,
    k_means,
    nearest_better,
    prototypes_of_class,
)

GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.randn(12, 3, generator=GENERATOR, dtype=torch.float64)
LOG_R = -torch.rand(12, generator=GENERATOR, dtype=torch.float64)


def naive_candidates(log_r: list[float], epsilon: float) -> list[int]:
    """{i : r_i > epsilon max r}, by falling r, then by position."""
    best = max(map(math.exp, log_r))
    good = [i for i, value in enumerate(log_r) if math.exp(value) > epsilon * best]
    return sorted(good, key=lambda i: (-log_r[i], i))


def naive_diverse(points: list[list[float]], count: int) -> list[int]:
    """E_i: distance to the nearest better point, the largest of all for the best; largest first."""
    span = max(math.dist(p, q) for p in points for q in points)
    nearest = [min(math.dist(p, q) for q in points[:i]) for i, p in enumerate(points) if i > 0]
    separation = [span, *nearest]
    return sorted(range(len(points)), key=lambda i: (-separation[i], i))[:count]


@pytest.mark.parametrize("epsilon", [0.3, 0.7, 0.9])
def test_candidates_equal_the_loop(epsilon: float) -> None:
    """In log space, where r itself may be zero."""
    assert candidates(LOG_R, epsilon, 0).tolist() == naive_candidates(LOG_R.tolist(), epsilon)
    lower = candidates(LOG_R - 2000, epsilon, 0)
    assert lower.tolist() == naive_candidates(LOG_R.tolist(), epsilon)


def test_an_image_on_the_threshold_is_no_candidate() -> None:
    """By hand: with r = 1, 1/2 and 3/4, epsilon = 1/2 leaves out the second; the paper has >."""
    log_r = torch.tensor([1.0, 0.5, 0.75], dtype=torch.float64).log()
    assert candidates(log_r, 0.5, 0).tolist() == [0, 2]


def test_too_few_candidates_are_filled_up_with_the_most_robust() -> None:
    """The literal robustness leaves one or two of a class."""
    log_r = torch.tensor([-9.0, 0.0, -5.0, -7.0])
    assert candidates(log_r, 0.7, 0).tolist() == [1]
    assert candidates(log_r, 0.7, 3).tolist() == [1, 2, 3]


def test_equal_robustness_is_ordered_by_position() -> None:
    """Else the prototypes would depend on the sort of the day."""
    assert candidates(torch.tensor([-1.0, 0.0, 0.0, -1.0]), 0, 0).tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_nearest_better_equals_the_loop(count: int) -> None:
    """Density-peaks separation, not a farthest-point search."""
    assert nearest_better(POINTS, count, GENERATOR).tolist() == naive_diverse(
        POINTS.tolist(), count
    )


def test_nearest_better_on_a_line() -> None:
    """By hand: 0 is best and gets the span 10; 10 and 4 are far from all better ones, 1 is not."""
    line = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    assert nearest_better(line, 4, GENERATOR).tolist() == [0, 2, 3, 1]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances are taken in blocks of rows."""
    spreads = nearest_better, k_centres
    whole = [spread(POINTS, 5, GENERATOR) for spread in spreads]
    monkeypatch.setattr(mining, "BLOCK", 5)
    for spread, at_once in zip(spreads, whole, strict=True):
        assert torch.equal(spread(POINTS, 5, GENERATOR), at_once)


def chosen(points: Tensor, log_r: Tensor, count: int, diversity: str) -> list[int]:
    """Prototypes at the paper's epsilon."""
    generator = torch.Generator().manual_seed(1)
    options = {"epsilon": 0.7, "count": count, "diversity": diversity, "generator": generator}
    return prototypes_of_class(points, log_r, **options).tolist()


def test_prototypes_are_the_diverse_among_the_candidates() -> None:
    """Positions are those of the class, not of the candidates."""
    found = naive_candidates(LOG_R.tolist(), 0.7)
    assert len(found) > 3
    expected = [found[i] for i in naive_diverse(POINTS[found].tolist(), 3)]
    assert chosen(POINTS, LOG_R, 3, "nearest_better") == expected


@pytest.mark.parametrize("diversity", SPREADS)
def test_a_class_with_fewer_images_than_prototypes_repeats_them(diversity: str) -> None:
    """Three images, seven prototypes: each in turn."""
    picked = chosen(POINTS[:3], LOG_R[:3], 7, diversity)
    assert sorted(picked[:3]) == [0, 1, 2]
    assert picked == (picked[:3] * 3)[:7]


def test_without_diversity_the_most_robust_are_taken() -> None:
    """Table 3, rows a and c."""
    by_robustness = sorted(range(12), key=lambda i: -LOG_R[i])
    assert chosen(POINTS, LOG_R, 4, "none") == by_robustness[:4]


def test_k_centres_go_from_the_medoid_to_the_farthest() -> None:
    """Table 3, rows b and d: from the medoid (4) to the farthest (10), then (0)."""
    line = torch.tensor([[0.0], [3.0], [4.0], [5.0], [10.0]])
    assert chosen(line, torch.zeros(5), 3, "k_centres") == [2, 4, 0]
    everything = chosen(line, torch.zeros(5), 6, "k_centres")
    assert sorted(everything[:5]) == [0, 1, 2, 3, 4]


def test_k_means_takes_the_images_nearest_to_the_centres() -> None:
    """By hand: clusters {0, 1, 5} and {20, 24, 25} with means 2 and 23; nearest are 1 and 24."""
    line = torch.tensor([[0.0], [1.0], [5.0], [20.0], [24.0], [25.0]], dtype=torch.float64)
    assert sorted(chosen(line, torch.zeros(6), 2, "k_means")) == [1, 4]


def test_k_means_equals_lloyds_loop() -> None:
    """Assign to the nearest centre, move to the mean, until nothing moves."""
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    rows = points.tolist()
    centres = [rows[i] for i in k_centres(points, 4, GENERATOR).tolist()]
    for _ in range(100):
        own = [min(range(4), key=lambda c: math.dist(row, centres[c])) for row in rows]
        for c in range(4):
            cluster = [row for row, mine in zip(rows, own, strict=True) if mine == c]
            centres[c] = [sum(axis) / len(cluster) for axis in zip(*cluster, strict=True)]
    expected = [min(range(40), key=lambda i: math.dist(rows[i], centre)) for centre in centres]
    assert k_means(points, 4, GENERATOR).tolist() == expected


def test_random_prototypes_are_drawn_from_the_candidates() -> None:
    """Another generator, other prototypes; the same, the same."""
    found = naive_candidates(LOG_R.tolist(), 0.7)
    picked = chosen(POINTS, LOG_R, 2, "random")
    assert set(picked) <= set(found)
    assert picked == chosen(POINTS, LOG_R, 2, "random")
    draws = {
        tuple(at_random(POINTS, 2, torch.Generator().manual_seed(seed)).tolist())
        for seed in range(9)
    }
    assert len(draws) > 4
