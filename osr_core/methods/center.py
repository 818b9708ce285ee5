"""Center: softmax whose embeddings are drawn to moving class centres.

z in R^D is the embedding, l the logits of a linear layer on it, c_k the centre of class k:
    cross_entropy  CE(l, y)
    center         lambda / 2 ||z - c_y||^2                                       (Eq. 5)
    loss           the sum of both, batch means
    centres        after each step, with the batch's n_k images of class k,
                   c_k <- c_k - alpha sum_{i: y_i = k} (c_k - z_i) / (1 + n_k)    (Eq. 4)
    logits         l
    unknown_score  min_k ||z - c_k|| ("distance"), or log odds of 1 - max_k softmax(l)_k
                   ("probability")

Source: Wen et al., "A discriminative feature learning approach for deep face recognition", ECCV
2016; beside CAC, the appendix of Miller et al., arXiv 2020.

`placement` says what is drawn to the centres. "embedding" is the paper's. "logits" (z = l, D = K)
is what the CAC appendix tried, with lambda from 1e-5 to 0.1; it reports that the loss was lost
within the first epoch on MNIST, and the setting is here for that record. With Eq. 4's centres it
does train on digits; a loss that is lost ends the fit.

Deviations, and why:
- Wen et al. sum over the batch; a mean keeps lambda's meaning when the batch changes.
- Centres begin at N(0, 1), as in the public PyTorch port, which the CAC appendix used. That port
  moves them by SGD at 0.5 on the batch mean, without the factor 1/2 in the loss; here they follow
  the paper's Eq. 4 at the same rate, so a class moves as far however rare it is in the batch.
- Wen et al. verify faces and have no score for the unknown: the distance to the nearest centre is
  what the loss makes small.
- `published` has the lengths and the weight decay that the CAC authors' configuration file gives
  for this loss; the lengths are taken to be in the order of the paper's tables, and each run goes
  on from the kept weights of the one before. Their code does not read them and no checkpoint rule
  is known: the epoch of best validation accuracy is kept, as for their softmax. The embedding is
  pooled: lambda is meant for 128 values, not for CAC's 2,048.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch
from osr_core.methods.base import Method, MethodConfig, Prediction, log_odds_of_unknown, membership
from osr_core.recipes import Recipe, cac_published

# Epochs of each run, from the configuration file of the CAC authors.
RUNS = {
    "mnist": (70, 70),
    "svhn": (75, 75),
    "cifar10": (250, 150),
    "cifar+10": (150, 75, 75),
    "cifar+50": (150, 75, 75),
    "tinyimagenet": (700, 500),
}
WEIGHT_DECAY = 5e-6  # of all datasets there, where the decay of CAC differs between them


def center_loss(z: Tensor, centers: Tensor, label: Tensor) -> Tensor:
    """() batch mean of ||z - c_y||^2 / 2; z (B, D), centers (K, D)."""
    return (z - centers[label]).square().sum(1).mean() / 2


def moved_centers(centers: Tensor, z: Tensor, label: Tensor, rate: float) -> Tensor:
    """(K, D) centres after a batch z (B, D); a class that is not in it keeps its own."""
    member = membership(label, len(centers)).to(z.dtype)
    num = member.sum(0)[:, None]
    return centers - rate * (num * centers - member.T @ z) / (1 + num)


class Center(Method):
    """A linear classifier on embeddings that gather around one centre for each class."""

    name = "center"
    title = "Center"
    source = "Wen et al., ECCV 2016; Miller et al., arXiv 2020, appendix"
    version = 2
    terms = ("cross_entropy", "center")
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """What is drawn to the centres, how strongly, and the score."""

        placement: str = setting(
            "embedding",
            "what is drawn to the centres (paper: embedding)",
            choices=("embedding", "logits"),
        )
        center_weight: float = setting(0.003, "lambda (paper: 0.003)", at_least=0)
        center_rate: float = setting(0.5, "alpha (paper: 0.5)", above=0, at_most=1)
        rejection: str = setting(
            "distance",
            "what the score is",
            choices=("distance", "probability"),
            read_by="score",
        )

    centers: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = backbone.classifier(num_known)
        dim = num_known if self.config.placement == "logits" else backbone.dim
        self.register_buffer("centers", torch.randn(num_known, dim))

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        logits = self.head(embedding)
        drawn = center_loss(self.placed(embedding, logits), self.centers, label)
        return {
            "cross_entropy": F.cross_entropy(logits, label),
            "center": self.config.center_weight * drawn,
        }

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """The usual update and that of the centres, by the same embeddings."""
        embedding = self.embed(batch.images)
        terms = self.losses_at(embedding, batch.label)
        optimizers["main"].zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            z = self.placed(embedding, self.head(embedding))
            rate = self.config.center_rate
            self.centers.copy_(moved_centers(self.centers, z, batch.label, rate))
        optimizers["main"].step()
        return {name: term.detach() for name, term in terms.items()}

    def predict(self, embedding: Tensor) -> Prediction:
        logits = self.head(embedding)
        if self.config.rejection == "probability":
            return Prediction(logits, log_odds_of_unknown(logits), embedding)
        exact = "donot_use_mm_for_euclid_dist"  # the products' difference is rounding near a centre
        placed = self.placed(embedding, logits)
        distances = torch.cdist(placed, self.centers, compute_mode=exact)
        return Prediction(logits, distances.amin(1), embedding)

    def placed(self, embedding: Tensor, logits: Tensor) -> Tensor:
        """z: (B, D), or (B, K)."""
        return logits if self.config.placement == "logits" else embedding

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """CAC's recipe with the lengths and the decay above, a tenth of the rate in each run."""
        recipe = cac_published(benchmark, keep="accuracy")
        *ends, epochs = accumulate(RUNS.get(benchmark.name, RUNS["mnist"]))
        training = replace(
            recipe.training,
            epochs=epochs,
            drops=tuple(end / epochs for end in ends),
            restart_at_drops=True,
            weight_decay=WEIGHT_DECAY,
        )
        return Recipe(backbone={**recipe.backbone, "head": "gap"}, training=training)
