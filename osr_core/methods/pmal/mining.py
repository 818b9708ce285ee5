"""Which images of a class become its prototypes: PMAL's second half of mining (section 4.2).

n images of one class with robustness r, T prototypes wanted:
    candidates     C = {i : r_i > epsilon max r}
    diversity      E_i = distance to the nearest candidate of higher r, the largest distance
                   between candidates for the one of highest r; the T of largest E  (Alg. 1, Eq. 8)
Everything is ordered by r, the better first, and by position where r is equal. Distances are taken
in blocks of rows, so a class of 50,000 candidates needs no 50,000 x 50,000 matrix.

What stands in for Algorithm 1 in the ablations:
    none        the T of largest r                                              (Table 3, a and c)
    k_centres   the medoid, then each time the farthest from those chosen       (Table 3, b and d)
    random      any T candidates                                                         (Table 4)
    k_means     of T clusters the candidates nearest to their centres                    (Table 4)

Deviations, and why:
- Where fewer than T images are good enough, the T most robust ones are the candidates.
- A class with fewer than T images repeats them, in the order chosen.
- Table 3 does not spell out how prototypes are spread without quality, where nothing orders the
  images as Algorithm 1 needs it: hence k_centres.
- Table 4 does not say how k-means starts: from k_centres, which needs no random numbers.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.methods.pmal.topology import BLOCK, cross_distances

ROUNDS = 100  # of k-means, at most


def candidates(log_r: Tensor, epsilon: float, count: int) -> Tensor:
    """Positions of the candidates among log r (n,), best first; at least `count` if there are."""
    order = log_r.argsort(descending=True, stable=True)
    good = int((log_r > log_r.max() + math.log(epsilon)).sum()) if epsilon > 0 else len(log_r)
    return order[: max(good, count)]


def nearest_better(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Algorithm 1: the `count` of points (m, K), best first, that stand most apart; positions."""
    separation, largest = points.new_empty(len(points)), points.new_zeros(())
    for start in range(0, len(points), BLOCK):
        rows = points[start : start + BLOCK]
        distances = cross_distances(rows, points[: start + BLOCK])
        largest = torch.maximum(largest, distances.max())
        among_rows = distances[:, start:]
        among_rows.masked_fill_(torch.ones_like(among_rows, dtype=torch.bool).triu(), math.inf)
        separation[start : start + BLOCK] = distances.amin(1)
    separation[0] = largest
    return separation.argsort(descending=True, stable=True)[:count]


def k_centres(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of points (n, K): the medoid, then each time the one farthest from those chosen."""
    sums = points.new_empty(len(points))
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        sums[rows] = cross_distances(points[rows], points).sum(1)
    chosen = [int(sums.argmin())]
    nearest = points.new_full((len(points),), math.inf)
    while len(chosen) < min(count, len(points)):
        latest = points[chosen[-1]][None]
        nearest = torch.minimum(nearest, cross_distances(points, latest)[:, 0])
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=points.device)


def k_means(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of points (n, K), each once: the nearest to the centres that Lloyd's rounds find."""
    centres = points[k_centres(points, count, generator)]
    for _ in range(ROUNDS):
        nearest = cross_distances(points, centres).argmin(1)
        member = F.one_hot(nearest, len(centres)).to(points.dtype)
        sizes = member.sum(0)[:, None]
        moved = torch.where(sizes > 0, member.T @ points / sizes, centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    chosen: list[int] = []
    for distances in cross_distances(centres, points):
        distances[chosen] = math.inf
        chosen.append(int(distances.argmin()))
    return torch.tensor(chosen, device=points.device)


def at_random(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` positions among points (n, K)."""
    return torch.randperm(len(points), generator=generator)[:count].to(points.device)


def foremost(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The first `count` positions among points (n, K), which come best first."""
    return torch.arange(min(count, len(points)), device=points.device)


SPREADS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    "nearest_better": nearest_better,
    "k_centres": k_centres,
    "k_means": k_means,
    "random": at_random,
    "none": foremost,
}
NEED_AN_ORDER = ("nearest_better", "none")  # of SPREADS


def prototypes_of_class(
    points: Tensor,
    log_r: Tensor,
    *,
    epsilon: float,
    count: int,
    diversity: str,
    generator: torch.Generator,
) -> Tensor:
    """(count,) positions of the prototypes among a class's points (n, K) with log r (n,).

    `diversity` is a key of SPREADS; only random takes numbers from the CPU's `generator`.
    """
    found = candidates(log_r, epsilon, count)
    chosen = found[SPREADS[diversity](points[found], count, generator)]
    return chosen[torch.arange(count, device=chosen.device) % len(chosen)]
