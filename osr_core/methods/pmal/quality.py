"""What makes a good prototype if not robustness: the rivals in PMAL's Table 4.

p_i is the probability that a classifier gives image i's own class; r takes robustness's place:
    probability      r = p by the first classifier
    deep_ensembles   v = variance of p over the U classifiers
    mc_dropout       v = variance of p over S passes of the first classifier, each with another
                     half of the embedding dropped before its head
    of a variance    r = exp(-(v - min v) / h),  h = (median v - min v) / log 2
What comes after, epsilon and Algorithm 1, stays as it is.

Choices that the paper leaves open: S = 20, and how a variance becomes a robustness: by the rule
of the median that robustness has (topology.py), so that epsilon means the same.
"""

import torch
from torch import Tensor, nn

from osr_core.methods.pmal.topology import BLOCK, median_scaled

PASSES = 20  # S


def log_probability(logits: Tensor, label: Tensor) -> Tensor:
    """(N,) float64 log p of the images' own classes from logits (N, K), label (N,)."""
    return logits.double().log_softmax(1).gather(1, label[:, None])[:, 0]


def log_steadiness(probabilities: Tensor) -> Tensor:
    """(N,) log r from the variance of probabilities (S, N) over S; the steadiest have r = 1."""
    return -median_scaled(probabilities.var(0, correction=0)[None])[0]


def dropout_probabilities(
    embedding: Tensor, head: nn.Module, label: Tensor, generator: torch.Generator
) -> Tensor:
    """(S, N) p of the images' own classes, the embedding (N, D) halved before `head` S times.

    The draws come from the CPU's `generator`, as on every machine.
    """
    passes = []
    for _ in range(PASSES):
        blocks = []
        blocks_of = torch.split(embedding, BLOCK), torch.split(label, BLOCK)
        for rows, own in zip(*blocks_of, strict=True):
            kept = (torch.rand(rows.shape, generator=generator) < 0.5).to(rows.device)
            blocks.append(log_probability(head(2 * rows * kept), own).exp())
        passes.append(torch.cat(blocks))
    return torch.stack(passes)
