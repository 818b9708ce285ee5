"""CAC: class anchor clustering.

z in R^K are the outputs of a linear layer, c_j = alpha e_j the fixed anchor of class j, and
d_j = ||z - c_j|| the distances (not squared):
    tuplet         L_T = log(1 + sum_{j != y} exp(d_y - d_j))                     (Eq. 6)
    anchor         L_A = d_y                                                      (Eq. 7)
    loss           L = L_T + lambda L_A, batch means                              (Eq. 8)
    score          gamma = d * (1 - softmin(d))                                   (Eq. 11)
                   softmin_j = exp(-d_j) / sum_i exp(-d_i)
    logits         -gamma
    unknown_score  min_j gamma_j; below 1e-16 what rises with it and is never rounded to 0
Before scoring, each anchor becomes the mean z of the training images of its class that are
classified correctly (largest z_j), with mirrored copies, but not of digits.

Source: Miller et al., "Class anchor clustering: a loss for distance-based open set recognition",
WACV 2021. Authors' code: dimitymiller/cac-openset, commit bd9c7f5.

Deviations, and why:
- L_T is computed as the cross-entropy of -d, whose "1 +" is the term j = y: the same number, and
  it cannot overflow.
- Below 1e-16, where gaps exceed 37, 1 - softmin rounds to 0: the score is taken from logarithms
  and goes on to fall, so that no images tie. A gap is at most the distance between two anchors,
  which is 14 before calibration at the published alpha of 10.
- A class without a correctly classified training image keeps its anchor; the authors' code fails.
- The ablations (one of the two terms alone) switch a term off by detaching it: it has no gradient
  but is still measured, since the epoch is chosen by the anchor term on validation images. The
  anchor term alone has weight 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batches
from osr_core.errors import ConfigError
from osr_core.methods.base import (
    Method,
    MethodConfig,
    Prediction,
    log_odds_of_unknown,
    unsaturated_exp,
)
from osr_core.recipes import Recipe, cac_published


def anchor_distances(z: Tensor, anchors: Tensor) -> Tensor:
    """(B, K) float64 Euclidean distances of z (B, K) to anchors (K, K)."""
    return torch.cdist(z.double(), anchors.double(), compute_mode="donot_use_mm_for_euclid_dist")


def cac_terms(distances: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Tuplet and anchor terms, each a batch mean; distances (B, K), label (B,)."""
    tuplet = F.cross_entropy(-distances, label)
    anchor = distances.gather(1, label[:, None]).mean()
    return tuplet, anchor


def cac_score(distances: Tensor) -> Tensor:
    """Distances (B, K), each the smaller the more the others exceed it: gamma (B, K)."""
    return distances * (1 - (-distances).softmax(1))


def log_least_score(distances: Tensor) -> Tensor:
    """(B,) log min_j gamma_j from distances (B, K), K >= 2: the nearest anchor's.

    There 1 - softmin is the logistic function of the other anchors' log odds; as a difference it
    would be 0 where all others are farther by 37 or more.
    """
    return distances.amin(1).log() + F.logsigmoid(log_odds_of_unknown(-distances))


class CAC(Method):
    """Logits that cluster around one fixed anchor for each class."""

    name = "cac"
    title = "CAC"
    source = "Miller et al., WACV 2021, section 3"
    version = 2
    terms = ("tuplet", "anchor")
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """Weights and anchors; the two switches are the paper's ablations."""

        anchor_weight: float = setting(0.1, "lambda (paper: 0.1)", above=0)
        alpha: float = setting(10.0, "length of the anchors (paper: 10)", above=0)
        tuplet: bool = setting(True, "whether the tuplet term is minimised")
        anchor: bool = setting(True, "whether the anchor term is minimised")

        def __post_init__(self) -> None:
            super().__post_init__()
            if not (self.tuplet or self.anchor):
                raise ConfigError("tuplet and anchor must not both be false; nothing is left.")

    anchors: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = nn.Linear(backbone.dim, num_known)
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("anchors", self.config.alpha * torch.eye(num_known).double())

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        tuplet, anchor = cac_terms(anchor_distances(self.head(embedding), self.anchors), label)
        weight = self.config.anchor_weight if self.config.tuplet else 1.0
        return {
            "tuplet": tuplet if self.config.tuplet else tuplet.detach(),
            "anchor": weight * (anchor if self.config.anchor else anchor.detach()),
        }

    def predict(self, embedding: Tensor) -> Prediction:
        distances = anchor_distances(self.head(embedding), self.anchors)
        score = unsaturated_exp(log_least_score(distances))
        return Prediction(-cac_score(distances).float(), score.float(), embedding)

    def calibrate(self, train: Batches) -> None:
        """Anchors become the class means of correctly classified training images."""
        sums, counts = torch.zeros_like(self.anchors), self.anchors.new_zeros(self.num_known, 1)
        for batch in train.ordered():
            copies = (batch.images, batch.images.flip(3)) if train.mirrored else (batch.images,)
            for images in copies:
                z = self.head(self.embed(images)).double()
                correct = z.argmax(1) == batch.label
                member = F.one_hot(batch.label, self.num_known) * correct[:, None]
                sums += member.double().T @ z
                counts += member.sum(0)[:, None]
        self.anchors.copy_(torch.where(counts > 0, sums / counts, self.anchors))

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' recipe: the epoch of the lowest anchor term on held-out images."""
        return cac_published(benchmark, keep="anchor")
