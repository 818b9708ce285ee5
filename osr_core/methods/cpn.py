"""CPN: convolutional prototype network, trained as generalised convolutional prototype learning.

z in R^D is the embedding, m_kj the j-th of M learned prototypes of class k, and
d_kj = ||z - m_kj||^2 / D:
    cross_entropy  -log p(y|z),  p(k|z) = sum_j exp(-gamma d_kj) / sum_{l,j} exp(-gamma d_lj)
    prototype      lambda d_y* / 2,  d_y* = min_j d_yj
    loss           the sum of both, batch means
    logits         log sum_j exp(-gamma d_kj), whose softmax is p
    unknown_score  log odds of 1 - max_k p(k|z) ("probability", PR), or min_{k,j} d_kj ("distance",
                   the paper's DR)

Sources: Yang et al., "Robust classification with convolutional prototype learning", CVPR 2018, and
"Convolutional prototype network for open set recognition", TPAMI 2022. Authors' code: a TensorFlow
script for MNIST with two-dimensional embeddings. Units, start and schedule are those of GCPL in
iCGY96/ARPL, which trains it on the networks of the OSR tables.

Deviations from the papers, and why:
- Distances are divided by D, as in the ARPL repository: in D = 128 the plain ones saturate the
  softmax. It is a change of units only: gamma / D and lambda / D in the paper's.
- Prototypes begin at N(0, 0.1^2), as there. The authors' script begins at 0, where all prototypes
  of a class would stay equal.
- Only the distance-based cross-entropy is here, not the CVPR paper's margin and
  classification-error losses.
- The authors' script (gamma = 1, lambda = 0.001, Adam at 0.001 until training stalls) is for D = 2.

Defaults: gamma, lambda and the score are the ARPL repository's, as are units and schedule. None
is chosen by AUROC, which needs unknown test images. What is known of their effect: distances over D
have slopes over D, so that prototypes hardly move in a short schedule and embeddings run past them.
Then the unknown is *nearer*: on digits (cac, splits 0 and 1, D = 32, 20 epochs) the distance has an
AUROC of 0.10 and 0.17, the probability 0.98 and 0.98. Ten times both, gamma 10 and lambda 1, gives
the distance 0.98 and 0.95.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.methods.arpl import ARPL
from osr_core.methods.base import Method, MethodConfig, Prediction, log_odds_of_unknown
from osr_core.recipes import Recipe


def scaled_distances(embedding: Tensor, points: Tensor) -> Tensor:
    """(B, K, M) squared Euclidean distances over D, of embeddings (B, D) to points (K, M, D)."""
    exact = "donot_use_mm_for_euclid_dist"  # the products' difference is all rounding near a point
    distances = torch.cdist(embedding, points.flatten(0, 1), compute_mode=exact)
    return distances.square().view(-1, *points.shape[:2]) / embedding.shape[1]


def prototype_logits(distances: Tensor, gamma: float) -> Tensor:
    """(B, K) unnormalised log-probabilities from distances (B, K, M)."""
    return (-gamma * distances).logsumexp(2)


def nearest_own(distances: Tensor, label: Tensor) -> Tensor:
    """() batch mean of the distance to the nearest prototype of the image's class; (B, K, M)."""
    return distances.amin(2).gather(1, label[:, None]).mean()


class CPN(Method):
    """Classes are where their learned prototypes are; the unknown is near none, or between some."""

    name = "cpn"
    title = "CPN"
    source = "Yang et al., TPAMI 2022"
    version = 2
    terms = ("cross_entropy", "prototype")
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """Prototypes, their pull, and the score."""

        prototypes: int = setting(
            1, "M per class (papers and ARPL repository: 1)", at_least=1, at_most=10_000
        )
        gamma: float = setting(1.0, "hardness of the softmax (ARPL repository: 1)", above=0)
        prototype_weight: float = setting(0.1, "lambda (ARPL repository: 0.1)", at_least=0)
        rejection: str = setting(
            "probability",
            "what the score is (ARPL repository: probability; TPAMI 2022 has both)",
            choices=("distance", "probability"),
            read_by="score",
        )

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        shape = (num_known, self.config.prototypes, backbone.dim)
        self.prototypes = nn.Parameter(0.1 * torch.randn(shape))

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        distances = scaled_distances(embedding, self.prototypes)
        pull = self.config.prototype_weight * nearest_own(distances, label) / 2
        logits = prototype_logits(distances, self.config.gamma)
        return {"cross_entropy": F.cross_entropy(logits, label), "prototype": pull}

    def predict(self, embedding: Tensor) -> Prediction:
        # In float64: far from all, what distances share would round away what tells images apart.
        distances = scaled_distances(embedding.double(), self.prototypes.double())
        logits = prototype_logits(distances, self.config.gamma)
        probability = self.config.rejection == "probability"
        score = log_odds_of_unknown(logits) if probability else distances.amin((1, 2))
        return Prediction(logits.float(), score.float(), embedding)

    def num_additional_parameters(self) -> int:
        return self.prototypes.numel()

    def prototype_embeddings(self) -> Tensor:
        return self.prototypes.detach()

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The schedule of the ARPL repository, whose comparison this is taken from."""
        return ARPL.published(benchmark)
