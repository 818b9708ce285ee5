"""CGDL: conditional Gaussian distribution learning.

A ladder (ladder.py) stands on the backbone. Its top latent z_n is drawn towards a Gaussian for each
class, with mean m_k = Linear(one-hot k), and is classified: l = Linear(z_n). x in [0, 1]:
    cross_entropy   CE(l, y)
    reconstruction  r sum_pixels (x - x~)^2
    divergence      b (KL(q(z_n|x) || N(m_y, I)) + sum_i KL(q(z_i) || p(z_i|z_{i+1})))
    loss            their sum, batch means
After training, from correctly classified images and with mu the mean of q(z_n|x): mean_k and
Sigma_k of mu for each class, and over all of them mean and deviation of d and e,
    d               min_k sqrt((mu - mean_k)^T Sigma_k^-1 (mu - mean_k))
    e               mean_pixels (x - x~)^2
    unknown_score   max of the standardised d and e ("either": unknown if one of the two says so),
                    their sum ("sum"), or -max_k log N(mu; mean_k, Sigma_k) ("density")

Source: Sun et al., "Conditional Gaussian distribution learning for open set recognition", CVPR
2020. Authors' code: BraveGump/CGDL-for-Open-Set-Recognition; it has no scalar score, which an AUROC
needs, but two thresholds.

Deviations, and why:
- The ladder stands on the common backbone, with as many steps as that has resolutions: 97.5 on
  digits. A prototype had 96.8, and 96.0 with the paper's network at an eighth of its width. That
  one has 291 million parameters, of which 279 are fully connected (flat.py); `backbone: {name:
  cgdl}` asks for it.
- r = b = 0.01 are the paper's loss divided by its weight 100 of the cross-entropy: with plain SGD
  its learning rate of 0.001 becomes 0.1. Their b rises to 1 within 50 steps; here it does not rise.
- The reconstruction is a sum over pixels. The code asks for one by an option that has no effect
  once a loss is made, and so has a mean, which is not learned beside a cross-entropy of weight 100.
- Images are in [0, 1] and x~ comes from a sigmoid; the code reconstructs normalised images, some of
  them above 1, by a tanh.
- Class means are of the last weights; the code collects them while the weights change, and its
  errors of test images come from random draws.
- To Sigma_k 0.0001 of its mean diagonal is added, so that it can be inverted; a class with fewer
  than two correct images is described by all of its training images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, build_backbone
from osr_core.backbones.flops import flops_of, stage_shapes
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch, Batches
from osr_core.kinds import CALIBRATE
from osr_core.methods.base import ImageMethod, MethodConfig, Prediction, membership
from osr_core.methods.cgdl.flat import FlatLadder
from osr_core.methods.cgdl.ladder import Climbed, Gaussian, Ladder
from osr_core.recipes import Augmentation, Recipe, Training, common
from osr_core.stage import Stage
from osr_core.trial import Trial

RIDGE = 1e-4  # of a covariance's mean diagonal
SMALLEST = 1e-12  # that is added at least, where a class has no spread


def fitted_gaussian(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (L,), inverse covariance (L, L) and log determinant () of points (n, L) float64."""
    mean = points.mean(0)
    covariance = (points - mean).T @ (points - mean) / len(points)
    ridge = (RIDGE * covariance.diagonal().mean()).clamp_min(SMALLEST)
    covariance = covariance + ridge * torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    return mean, torch.linalg.inv(covariance), torch.linalg.slogdet(covariance).logabsdet


def ladder_on(backbone: Backbone, latent: int, lateral: int) -> Ladder:
    """The paper's, with fully connected layers, on its own encoder; elsewhere one of maps."""
    return (FlatLadder if backbone.flat_stages else Ladder)(backbone, latent, lateral)


def ladder_of(backbone: Mapping[str, Any], latent: int, lateral: int) -> Ladder:
    """The same on a network by its settings."""
    return ladder_on(build_backbone(backbone), latent, lateral)


class CGDL(ImageMethod):
    """A ladder auto-encoder that classifies its top latent."""

    name = "cgdl"
    title = "CGDL"
    source = "Sun et al., CVPR 2020"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy", "reconstruction", "divergence")
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """The ladder, the weights of its terms, and the score."""

        latent: int = setting(32, "numbers at the top (authors' code: 32)", at_least=1)
        lateral: int = setting(
            16, "channels of each z below the top; not of the backbone cgdl", at_least=1
        )
        reconstruction_weight: float = setting(
            0.01, "r (authors' code, divided by its weight of the cross-entropy)", at_least=0
        )
        divergence_weight: float = setting(0.01, "b (as r)", at_least=0)
        score: str = setting(
            "either",
            "what makes an image unknown (paper: one of two tests)",
            choices=("either", "sum", "density"),
            read_by="score",
        )

    means: Tensor
    inverses: Tensor
    log_dets: Tensor
    usual: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        size, double = self.config.latent, torch.float64
        self.ladder = ladder_on(backbone, size, self.config.lateral)
        self.head = nn.Linear(size, num_known)
        self.class_means = nn.Linear(num_known, size)
        self.register_buffer("means", torch.zeros(num_known, size, dtype=double))
        self.register_buffer("inverses", torch.eye(size, dtype=double).repeat(num_known, 1, 1))
        self.register_buffer("log_dets", torch.zeros(num_known, dtype=double))
        # mean and deviation of d, then of e, over the training images
        self.register_buffer("usual", torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=double))

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.stage(CALIBRATE, "fit", "calibrate", inputs={"classifier": trial.fit()})

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' code for MNIST, in terms of our loss; no other schedule is told."""
        training = Training(
            epochs=50,
            batch_size=64,
            momentum=0.01,
            weight_decay=0.0,
            schedule="steps",
            augmentation=Augmentation(),
        )
        return Recipe(backbone=common(benchmark).backbone, training=training)

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The ladder, forward and back."""
        backbone, config = fit.config["backbone"], fit.config["method"]
        ladder = [backbone, config["latent"], config["lateral"]]
        return 3 * num_images * fit.effort * flops_of(ladder_of, ladder, *stage_shapes(backbone))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        _, maps = self.embed_stages(batch.images)
        climbed: Climbed = self.ladder(*maps)
        own = self.class_means(membership(batch.label, self.num_known).float())
        divergence = climbed.top.divergence_from(Gaussian(own, torch.ones_like(own)))
        error = (batch.images - climbed.images).square().sum((1, 2, 3)).mean()
        return {
            "cross_entropy": F.cross_entropy(self.head(climbed.latent), batch.label),
            "reconstruction": self.config.reconstruction_weight * error,
            "divergence": self.config.divergence_weight * (divergence + climbed.divergence).mean(),
        }

    def observed(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embedding (B, D), logits (B, K), mu (B, L) float64 and e (B,) float64, in eval mode."""
        embedding, maps = self.embed_stages(images)
        climbed: Climbed = self.ladder(*maps)
        error = (images - climbed.images).square().mean((1, 2, 3))
        return embedding, self.head(climbed.latent), climbed.top.mean.double(), error.double()

    def squared_distances(self, latent: Tensor) -> Tensor:
        """(B, K) Mahalanobis distances, squared, of mu (B, L) to the classes."""
        apart = latent[:, None] - self.means
        return torch.einsum("bki,kij,bkj->bk", apart, self.inverses, apart).clamp_min(0)

    def forward(self, images: Tensor) -> Prediction:
        embedding, logits, latent, error = self.observed(images)
        squared = self.squared_distances(latent)
        if self.config.score == "density":
            score = (squared + self.log_dets).amin(1) / 2  # less a constant
        else:
            measured = torch.stack([squared.amin(1).sqrt(), error], 1)
            standard = (measured - self.usual[:, 0]) / self.usual[:, 1]
            score = standard.amax(1) if self.config.score == "either" else standard.sum(1)
        return Prediction(logits, score.float(), embedding)

    def calibrate(self, train: Batches) -> None:
        """Gaussians of the classes, and what d and e usually are, from un-augmented images."""
        batches = list(train.ordered())
        observed = [self.observed(batch.images)[1:] for batch in batches]
        logits, latent, error = (torch.cat(parts) for parts in zip(*observed, strict=True))
        label = torch.cat([batch.label for batch in batches])
        self.check_labels(label)
        correct = logits.argmax(1) == label
        for k in range(self.num_known):
            of_class = label == k
            chosen = of_class & correct if (of_class & correct).sum() > 1 else of_class
            self.means[k], self.inverses[k], self.log_dets[k] = fitted_gaussian(latent[chosen])
        counted = correct if correct.any() else torch.ones_like(correct)
        distance = self.squared_distances(latent[counted]).amin(1).sqrt()
        for row, values in enumerate((distance, error[counted])):
            deviation = values.std(correction=0).clamp_min(SMALLEST)
            self.usual[row] = torch.stack([values.mean(), deviation])
