"""How robustly an image sits among all others: PMAL's first half of mining (section 4.1).

N training images, K known classes. A classifier with weights W and class-centred weights
A = W - mean_k w_k sees two images at the distance
    d_M(i, j)      sqrt((z_i - z_j) A A^T (z_i - z_j)^T)                          (Eq. 4-6)
and U classifiers that differ only by their seeds agree on an image as far as
    topology       t_u(i) = (d_u(i, 1), ..., d_u(i, N))                           (Def. 1)
    error          e_i = ||t_1(i) - t_2(i)||
    robustness     r_i = exp(-e_i), the mean over all pairs where U > 2           (Eq. 7)

z A are the logits less their mean over the classes (a bias cancels in differences), so d_M is the
Euclidean distance of class-centred logits, and nothing of size D x D or N x N is ever made.

The printed r_i cannot be meant literally: e grows with sqrt(N), so that with 6,000 images r is at
most 1e-20 and a threshold of 0.7 leaves one or two candidates in a class. Hence five modes, all in
log space:
    literal           as printed
    sqrt_n            e_i / sqrt(N), which does not depend on N
    median            t_u divided by the mean of all of u's distances
    relative          each t_u(i) divided by its own mean
    row_correlation   each t_u(i) less its own mean, divided by its own standard deviation, so that
                      e_i = sqrt(2 - 2 rho_i), rho_i the correlation of t_1(i) and t_2(i)
The last three then have r_i = exp(-(e_i - min e) / h), e_i / sqrt(N) for e_i,
h = (median e - min e) / log 2: the best image has r = 1, the median one 1/2, as in the paper's
Fig. 4a. A shift is harmless: candidates are chosen by ratios of r.
docs/pmal.md measures them and argues the default.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from osr_core.generators import generator_for

MAX_REFERENCES = 10_000  # images j that e_i is summed over; of more, a random subset stands for all
BLOCK = 512  # images i that are looked at together


def centred(logits: Tensor) -> Tensor:
    """(N, K) float64 logits less their mean over the classes: d_M is Euclidean between them."""
    double = logits.double()
    return double - double.mean(1, keepdim=True)


def cross_distances(points: Tensor, others: Tensor, *, fast: bool = False) -> Tensor:
    """(n, m) Euclidean distances of float64 points (n, K) to others (m, K).

    `fast` takes them from products of points: 2 to 10 times faster on a CPU, and of consequence
    only for distances near 0, which come out as up to 1e-7 of the points' lengths.
    """
    mode = "use_mm_for_euclid_dist" if fast else "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, others, compute_mode=mode)


def reference_images(num_images: int) -> Tensor:
    """Positions of all images, or of a fixed random subset of MAX_REFERENCES of them."""
    if num_images <= MAX_REFERENCES:
        return torch.arange(num_images)
    order = torch.randperm(num_images, generator=generator_for("pmal.references", num_images))
    return order[:MAX_REFERENCES].sort().values


def whole(rows: Tensor) -> Tensor:
    """Distances as they are."""
    return rows


def relative(rows: Tensor) -> Tensor:
    """Each row of distances (n, m) divided by its mean; a row of zeros stays."""
    mean = rows.mean(1, keepdim=True)
    return rows / mean.where(mean > 0, 1.0)


def standardised(rows: Tensor) -> Tensor:
    """Each row of distances (n, m) with mean 0 and variance 1; a constant row becomes zeros."""
    differences = rows - rows.mean(1, keepdim=True)
    deviation = differences.square().mean(1, keepdim=True).sqrt()
    return differences / deviation.where(deviation > 0, 1.0)


MODES: Mapping[str, Callable[[Tensor], Tensor]] = {  # how an image's own distances are scaled
    "literal": whole,
    "sqrt_n": whole,
    "median": whole,
    "relative": relative,
    "row_correlation": standardised,
}
PRINTED = ("literal", "sqrt_n")  # those that keep the unit of r = exp(-e)


def log_robustness(members: Sequence[Tensor], mode: str) -> Tensor:
    """(N,) log of the mean r over all pairs of U >= 2 members' class-centred logits (N, K)."""
    references = reference_images(len(members[0])).to(members[0].device)
    if mode == "median":
        members = [points / mean_distance(points, references) for points in members]
    errors = torch.stack(
        [pair_errors(*pair, references, MODES[mode]) for pair in combinations(members, 2)]
    )
    if mode == "literal":
        errors = errors * math.sqrt(len(members[0]))
    log_r = -errors if mode in PRINTED else -median_scaled(errors)
    return log_r.logsumexp(0) - math.log(len(errors))


def mean_distance(points: Tensor, references: Tensor) -> Tensor:
    """() mean of all distances to the references, an image's to itself included."""
    others = points[references]
    total = points.new_zeros(())
    for rows in torch.split(points, BLOCK):
        total += cross_distances(rows, others, fast=True).sum()
    return total / (len(points) * len(references))


def pair_errors(
    first: Tensor,
    second: Tensor,
    references: Tensor,
    scaled: Callable[[Tensor], Tensor] = whole,
) -> Tensor:
    """(N,) root mean square difference of the scaled distances of two members: e / sqrt(N)."""
    errors = first.new_empty(len(first))  # at once: bits kept between blocks would split the heap
    of_first, of_second = first[references], second[references]
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        seen_by_first = scaled(cross_distances(first[rows], of_first, fast=True))
        seen_by_second = scaled(cross_distances(second[rows], of_second, fast=True))
        errors[rows] = (seen_by_first - seen_by_second).square_().mean(1).sqrt()
    return errors


def median_scaled(errors: Tensor) -> Tensor:
    """(e - min e) / h of each row of (pairs, N); zero where all errors of a row are equal."""
    least = errors.amin(1, keepdim=True)
    half = (errors.quantile(0.5, dim=1, keepdim=True) - least) / math.log(2)
    return (errors - least) / half.where(half > 0, half.new_ones(()))
