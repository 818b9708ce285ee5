"""A trained method and images -> one row per image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from osr_core.context import SCORES
from osr_core.data.base import UNKNOWN
from osr_core.data.batches import Batches
from osr_core.data.tasks import TestSet
from osr_core.errors import TrainingError
from osr_core.methods.base import ImageMethod
from osr_core.metrics import evaluate
from osr_core.precision import whole_float32
from osr_core.tables import scores_table, table_to_bytes


class Scored(NamedTuple):
    """N images, on the CPU."""

    logits: Tensor  # (N, K) float32
    predicted: Tensor  # (N,) int64, argmax of logits
    unknown_score: Tensor  # (N,) float32, larger = more unknown
    embedding: Tensor  # (n, D) float32, of the images at `sample` alone


def balanced_sample(labels: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Ascending positions among labels (N,): num // 2 known and as many unknown, or all there are.

    The order of the draws is that of `generator`, of the CPU.
    """
    drawn = []
    for kind in (labels != UNKNOWN, labels == UNKNOWN):
        positions = kind.nonzero()[:, 0]
        drawn.append(positions[torch.randperm(len(positions), generator=generator)[: num // 2]])
    return torch.cat(drawn).sort().values


def images_per_class(test: TestSet, known: Sequence[int], unknown: Sequence[int]) -> dict[str, int]:
    """Of how many test images a class has, the smallest and the largest number on each side.

    A class without any counts as 0, so that a smallest number above 0 says that each was scored.
    """
    found = {}
    sides = {
        "known": (known, test.labels != UNKNOWN),
        "unknown": (unknown, test.labels == UNKNOWN),
    }
    for side, (classes, chosen) in sides.items():
        counts = Counter(test.classes[chosen].tolist())  # class numbers may be in the billions
        found[f"{side}_images_min"] = min(counts[k] for k in classes)
        found[f"{side}_images_max"] = max(counts[k] for k in classes)
    return found


@torch.no_grad()
@whole_float32()
def score_images(method: ImageMethod, batches: Batches, sample: Tensor) -> Scored:
    """Score every image once, in order, in eval mode; keep the embeddings at positions `sample`.

    Networks compute in whole float32.

    Args:
        method: on the device of `batches`.
        batches: of N images.
        sample: (n,) ascending positions; a large test set's embeddings would not fit into memory.

    Raises:
        TrainingError: a logit or a score that is not finite; nothing could be ranked by it.
    """
    method.eval()
    sampled = torch.zeros(len(batches), dtype=torch.bool, device=batches.labels.device)
    sampled[sample] = True
    logits, scores, embeddings = [], [], []
    for batch in batches.ordered():
        prediction = method(batch.images)
        logits.append(prediction.logits.float().cpu())
        scores.append(prediction.unknown_score.float().cpu())
        embeddings.append(prediction.embedding[sampled[batch.index]].float().cpu())
    all_logits, all_scores = torch.cat(logits), torch.cat(scores)
    lost = ~(all_logits.isfinite().all(1) & all_scores.isfinite())
    if lost.any():
        raise TrainingError(
            f"the logits or scores of {int(lost.sum())} of {len(lost)} test images are not finite "
            "numbers, though the network's weights are. Train it with a lower learning rate."
        )
    return Scored(all_logits, all_logits.argmax(1), all_scores, torch.cat(embeddings))


def evaluated(
    test: TestSet,
    split: Mapping[str, Any],
    logits: Tensor,
    predicted: Tensor,
    unknown_score: Tensor,
) -> tuple[dict[str, bytes], dict[str, float]]:
    """A trial's table of scores by name, and its numbers.

    Args:
        test: N images.
        split: their classes: the numbers of the "known" and of the "unknown" ones.
        logits: (N, K), larger = more that class.
        predicted: (N,) positions of classes.
        unknown_score: (N,), larger = more unknown.
    """
    metrics = evaluate(
        unknown_score.numpy(),
        predicted.numpy(),
        test.labels.numpy(),
        len(split["known"]),
        logits.double().softmax(1).amax(1).numpy(),
    )
    numbers: dict[str, float] = {f"test/{name}": value for name, value in metrics.items()}
    counts = images_per_class(test, split["known"], split["unknown"])
    numbers |= {f"scored/{name}": number for name, number in counts.items()}
    table = scores_table(test, logits, predicted, unknown_score)
    return {SCORES: table_to_bytes(table)}, numbers
