"""ARPL: adversarial reciprocal point learning.

z in R^D is the embedding, P_k the reciprocal point of class k, which stands for what the class is
*not*, and R a learned radius that all classes share:
    distance       d_k = ||z - P_k||^2 / D
    logits         l_k = d_k - z . P_k
    cross_entropy  CE(l / T, y)
    margin         lambda max(0, d_y - R + 1)
    loss           the sum of both, batch means
    unknown_score  -max_k l_k
P_k begins at N(0, 0.1^2), R at 0; both are trained like the network's weights.

Source: Chen et al., "Adversarial reciprocal points learning for open set recognition", TPAMI 2021.
Authors' code: iCGY96/ARPL.

Deviations from the paper, and why:
- The margin's "+ 1" is the authors' code's; the paper has max(0, d_y - R).

Deviations from the code, and why:
- Images are normalised by the statistics of the known training images, and grey ones have one
  channel, as in all methods here; the authors' are in [0, 1], MNIST's repeated in three channels.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.methods.base import Method, MethodConfig, Prediction
from osr_core.recipes import Augmentation, Recipe, Training, common

AUGMENTED = ("svhn", "cifar10", "cifar+10", "cifar+50", "tinyimagenet")


def reciprocal_distances(z: Tensor, points: Tensor) -> Tensor:
    """(B, K) squared distances of z (B, D) to points (K, D), divided by D."""
    return (z[:, None] - points).square().mean(2)


def reciprocal_logits(z: Tensor, points: Tensor) -> Tensor:
    """(B, K): an image is of the class from whose reciprocal point it is farthest, z . P apart."""
    return reciprocal_distances(z, points) - z @ points.T


def margin_loss(distances: Tensor, radius: Tensor, label: Tensor) -> Tensor:
    """() batch mean of max(0, d_y - R + 1); distances (B, K), radius (), label (B,)."""
    own = distances.gather(1, label[:, None]).squeeze(1)
    return (own - radius + 1).clamp_min(0).mean()


class ARPL(Method):
    """Classes are opposite to their reciprocal points; the unknown is near to all of these."""

    name = "arpl"
    title = "ARPL"
    source = "Chen et al., TPAMI 2021, section 3"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy", "margin")
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """Weight of the margin, and temperature."""

        margin_weight: float = setting(0.1, "lambda (paper: 0.1)", at_least=0)
        temperature: float = setting(1.0, "T (authors' code: 1)", above=0)

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.points = nn.Parameter(0.1 * torch.randn(num_known, backbone.dim))
        self.radius = nn.Parameter(torch.zeros(()))

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        logits = reciprocal_logits(embedding, self.points) / self.config.temperature
        margin = margin_loss(reciprocal_distances(embedding, self.points), self.radius, label)
        return {
            "cross_entropy": F.cross_entropy(logits, label),
            "margin": self.config.margin_weight * margin,
        }

    def predict(self, embedding: Tensor) -> Prediction:
        logits = reciprocal_logits(embedding, self.points)
        return Prediction(logits, -logits.amax(1), embedding)

    def num_additional_parameters(self) -> int:
        return self.points.numel()

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' code: 100 epochs, a tenth of the rate at 30, 60 and 90; the last one counts.

        Crops and flips, SVHN's too; nothing for MNIST, nor for a dataset that it does not have.
        """
        tiny = benchmark.name == "tinyimagenet"
        crops = Augmentation(crop_padding=4, flip=True)
        return Recipe(
            backbone=common(benchmark).backbone,
            training=Training(
                epochs=100,
                batch_size=64,
                optimizer="adam" if tiny else "sgd",
                lr=0.001 if tiny else 0.1,
                weight_decay=0.0 if tiny else 1e-4,
                schedule="steps",
                drops=(0.3, 0.6, 0.9),
                augmentation=crops if benchmark.name in AUGMENTED else Augmentation(),
            ),
        )
