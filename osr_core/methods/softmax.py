"""Softmax: cross-entropy training, maximum softmax probability as the score (MSP).

    loss           L = CE(l, y), optionally with label smoothing e: the true class gets 1 - e,
                   each other class e / (K - 1)
    unknown_score  -max_k p_k,  p = softmax(l)

Source: Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
examples in neural networks", ICLR 2017.

Deviations: the row "Softmax" of published tables was trained one-vs-rest for 30 epochs and is badly
under-trained (see docs/methods.md); here it is plain cross-entropy with the schedule that the
CAC paper gives its closed-set baseline.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.methods.base import Method, MethodConfig, Prediction
from osr_core.recipes import Recipe, cac_published


def smoothed_cross_entropy(logits: Tensor, label: Tensor, smoothing: float) -> Tensor:
    """Batch mean of the cross-entropy against 1 - e on the label and e / (K - 1) elsewhere."""
    log_p = logits.log_softmax(1)
    label_term = log_p.gather(1, label[:, None]).squeeze(1)
    others_term = (log_p.sum(1) - label_term) / (logits.shape[1] - 1)
    return -((1 - smoothing) * label_term + smoothing * others_term).mean()


class Softmax(Method):
    """A linear classifier on the embedding."""

    name = "softmax"
    title = "Softmax"
    source = "Hendrycks and Gimpel, ICLR 2017"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy",)

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """Cross-entropy's only choice."""

        label_smoothing: float = setting(
            0.0, "mass moved from the true class to the others", at_least=0, below=1
        )

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = nn.Linear(backbone.dim, num_known, bias=backbone.head_bias)

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        smoothing = self.config.label_smoothing
        return {"cross_entropy": smoothed_cross_entropy(self.head(embedding), label, smoothing)}

    def predict(self, embedding: Tensor) -> Prediction:
        logits = self.head(embedding)
        return Prediction(logits, self.unknown_score(logits), embedding)

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """CAC's recipe for its closed-set baseline: the epoch of best validation accuracy."""
        return cac_published(benchmark, keep="accuracy")

    def unknown_score(self, logits: Tensor) -> Tensor:
        """(B,) larger = more unknown, from logits (B, K)."""
        return -logits.softmax(1).amax(1)
