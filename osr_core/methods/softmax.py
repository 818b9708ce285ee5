"""Softmax: cross-entropy training, maximum softmax probability as the score (MSP).

    cross_entropy  CE(l, y), optionally with label smoothing e: the true class gets 1 - e, each
                   other class e / (K - 1)
                   or, one against the rest, mean_k log(1 + exp(-t_k l_k)), t_y = 1, else -1
    unknown_score  log((1 - p) / p),  p = max_k softmax(l)_k, which ranks like -p

Source: Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
examples in neural networks", ICLR 2017.

Deviations: the row "Softmax" of published tables is copied from Neal et al., "Open set learning
with counterfactual images", ECCV 2018, whose code (generativeopenset/training.py) trains one
against the rest, by Adam at 1e-4 for 30 epochs; the specs of these tables ask for it (`loss:
one_vs_rest`). It is badly under-trained. The default is cross-entropy, and `published` the schedule
of the CAC paper's closed-set baseline (train_closedSet.py).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.errors import ConfigError
from osr_core.methods.base import Method, MethodConfig, Prediction, log_odds_of_unknown, membership
from osr_core.recipes import Recipe, cac_published


def smoothed_cross_entropy(logits: Tensor, label: Tensor, smoothing: float) -> Tensor:
    """Batch mean of the cross-entropy against 1 - e on the label and e / (K - 1) elsewhere."""
    log_p = logits.log_softmax(1)
    label_term = log_p.gather(1, label[:, None]).squeeze(1)
    others_term = (log_p.sum(1) - label_term) / (logits.shape[1] - 1)
    return -((1 - smoothing) * label_term + smoothing * others_term).mean()


def one_vs_rest(logits: Tensor, label: Tensor) -> Tensor:
    """Mean over images and classes of log(1 + exp(-t l)); t is 1 for the label, else -1."""
    own = membership(label, logits.shape[1])
    return F.softplus(torch.where(own, -logits, logits)).mean()


class Softmax(Method):
    """A linear classifier on the embedding."""

    name = "softmax"
    title = "Softmax"
    source = "Hendrycks and Gimpel, ICLR 2017"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy",)
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """What is minimised."""

        loss: str = setting(
            "cross_entropy",
            "of the classifier (one_vs_rest: the tables' copied rows)",
            choices=("cross_entropy", "one_vs_rest"),
        )
        label_smoothing: float = setting(
            0.0, "mass moved from the true class to the others", at_least=0, below=1
        )

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.loss == "one_vs_rest" and self.label_smoothing > 0:
                raise ConfigError("loss one_vs_rest has no label_smoothing; leave it at 0.")

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = backbone.classifier(num_known)

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        logits = self.head(embedding)
        if self.config.loss == "one_vs_rest":
            return {"cross_entropy": one_vs_rest(logits, label)}
        smoothing = self.config.label_smoothing
        return {"cross_entropy": smoothed_cross_entropy(logits, label, smoothing)}

    def predict(self, embedding: Tensor) -> Prediction:
        logits = self.head(embedding)
        return Prediction(logits, self.unknown_score(logits), embedding)

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """CAC's recipe for its closed-set baseline: the epoch of best validation accuracy.

        Dropout and epochs are those of the paper's Table 4. The authors' code of that time
        (revision 73c49bd) has a dropout of 0.3 for this network on every dataset, since
        closedSetClassifier.py does not pass it on, and its second run takes as many epochs more as
        the number of the kept one. Of CAC's own network both are as printed.
        """
        return cac_published(benchmark, keep="accuracy")

    def unknown_score(self, logits: Tensor) -> Tensor:
        """(B,) larger = more unknown, from logits (B, K)."""
        return log_odds_of_unknown(logits)
