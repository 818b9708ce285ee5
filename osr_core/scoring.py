"""A trained method and images -> one row per image."""

from typing import NamedTuple

import torch
from torch import Tensor

from osr_core.data.batches import Batches
from osr_core.methods.base import Method


class Scored(NamedTuple):
    """N images, on the CPU."""

    logits: Tensor  # (N, K) float32
    predicted: Tensor  # (N,) int64, argmax of logits
    unknown_score: Tensor  # (N,) float32, larger = more unknown


@torch.no_grad()
def score_images(method: Method, batches: Batches) -> Scored:
    """Score every image once, in order, in eval mode."""
    method.eval()
    logits, scores = [], []
    for batch in batches.ordered():
        prediction = method(batch.images)
        logits.append(prediction.logits.float().cpu())
        scores.append(prediction.unknown_score.float().cpu())
    all_logits = torch.cat(logits)
    return Scored(all_logits, all_logits.argmax(1), torch.cat(scores))
