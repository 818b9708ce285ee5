"""Which images of a class become its prototypes: PMAL's second half of mining (section 4.2).

n images of one class with robustness r, T prototypes wanted:
    candidates     C = {i : r_i > epsilon max r}                                  (Eq. 7)
    diversity      E_i = distance to the nearest candidate of higher r, the largest distance
                   between candidates for the one of highest r; the T of largest E  (Alg. 1, Eq. 8)
Everything is ordered by r, the better first, and by position where r is equal.

Deviations, and why:
- Where fewer than T images are good enough, the T most robust ones are the candidates.
- A class with fewer than T images repeats them, in the order chosen.
- The ablations of Table 3 are not spelt out there. Without diversity: the T of largest r. Without
  quality: all images are candidates and nothing orders them, so a k-centre choice from the medoid
  takes the place of Algorithm 1.
"""

import math

import torch
from torch import Tensor

from osr_core.methods.pmal.topology import BLOCK, cross_distances


def candidates(log_r: Tensor, epsilon: float, count: int) -> Tensor:
    """Positions of the candidates among log r (n,), best first; at least `count` if there are."""
    order = log_r.argsort(descending=True, stable=True)
    good = int((log_r > log_r.max() + math.log(epsilon)).sum()) if epsilon > 0 else len(log_r)
    return order[: max(good, count)]


def diverse(points: Tensor, count: int) -> Tensor:
    """Algorithm 1: the `count` of points (m, K), best first, that stand most apart; positions."""
    apart, largest = [], points.new_zeros(())
    for rows in torch.split(torch.arange(len(points), device=points.device), BLOCK):
        distances = cross_distances(points[rows], points)
        largest = torch.maximum(largest, distances.max())
        worse = torch.arange(len(points), device=points.device) >= rows[:, None]
        apart.append(distances.masked_fill(worse, math.inf).amin(1))
    separation = torch.cat(apart)
    separation[0] = largest
    return separation.argsort(descending=True, stable=True)[:count]


def k_centres(points: Tensor, count: int) -> Tensor:
    """`count` of points (n, K): the medoid, then each time the one farthest from those chosen."""
    sums = torch.cat([cross_distances(rows, points).sum(1) for rows in torch.split(points, BLOCK)])
    chosen = [int(sums.argmin())]
    nearest = points.new_full((len(points),), math.inf)
    while len(chosen) < min(count, len(points)):
        latest = points[chosen[-1]][None]
        nearest = torch.minimum(nearest, cross_distances(points, latest)[:, 0])
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=points.device)


def prototypes_of_class(
    points: Tensor,
    log_r: Tensor,
    *,
    epsilon: float,
    count: int,
    quality: bool = True,
    diversity: bool = True,
) -> Tensor:
    """(count,) positions of the prototypes among a class's points (n, K) with log r (n,)."""
    if not quality:
        chosen = k_centres(points, count)
    elif diversity:
        found = candidates(log_r, epsilon, count)
        chosen = found[diverse(points[found], count)]
    else:
        chosen = candidates(log_r, epsilon, count)[:count]
    return chosen[torch.arange(count, device=chosen.device) % len(chosen)]
