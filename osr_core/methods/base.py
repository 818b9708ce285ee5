"""What every method is: data prepared, losses minimised, state calibrated, images scored.

    Learner      what a fit trains; it need not say anything about images, as a generator does not
    ImageMethod  a learner that scores images: a row of a table
    Method       an image method that needs of an image no more than its embedding: most of them

B images per batch, K known classes, D embedding width. Signs are settled once and for all:
larger logits are more that class, a larger unknown_score is more unknown.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from osr_core.context import StageFunction
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch
from osr_core.errors import TrainingError
from osr_core.kinds import Kind
from osr_core.methods.learner import Learner, MethodConfig, descend, make_optimizer
from osr_core.recipes import Recipe, common
from osr_core.stage import Stage
from osr_core.trial import Trial

__all__ = [
    "ImageMethod",
    "Learner",
    "Method",
    "MethodConfig",
    "Prediction",
    "count_parameters",
    "descend",
    "log_odds_of_unknown",
    "make_optimizer",
    "membership",
    "unsaturated_exp",
]

SMALL = 1e-16  # 1 + SMALL is 1 in float64


def count_parameters(*modules: nn.Module) -> int:
    """How many numbers an optimiser would change; buffers are none of them."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def membership(label: Tensor, num: int) -> Tensor:
    """(B, num) bool: whether an image is of a class, from labels (B,) in [0, num).

    Unlike one_hot, it does not look at the labels, for which a step would wait.
    """
    return label[:, None] == torch.arange(num, device=label.device)


class Prediction(NamedTuple):
    """What a method says about B images."""

    logits: Tensor  # (B, K), larger = more that class; argmax is the predicted class
    unknown_score: Tensor  # (B,), larger = more unknown
    embedding: Tensor  # (B, D), the backbone's output


def shape_of(part: object) -> str:
    """What a part of a prediction is."""
    return f"of shape {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__


def log_odds_of_unknown(logits: Tensor) -> Tensor:
    """(B,) log((1 - p) / p) of the largest softmax probability p, from logits (B, K), K >= 2.

    It ranks like -p and never ties where p rounds to 1, which it does in float32 from 1 - 6e-8 on.
    What logits share cancels in it, and so it is taken in float64.
    """
    exact = logits.double()
    best = exact.argmax(1, keepdim=True)
    others = exact.scatter(1, best, -torch.inf).logsumexp(1)
    return (others - exact.gather(1, best).squeeze(1)).to(logits.dtype)


def unsaturated_exp(exponent: Tensor) -> Tensor:
    """exp(x) of float64 x, but what float32 and 1 + exp(x) would lose below SMALL stays in order.

    There it is SMALL / (1 + log SMALL - x), which rises with x and meets exp(x) with its slope; the
    limit is 0, at minus infinity.
    """
    below = exponent - math.log(SMALL)
    return torch.where(below > 0, exponent.exp(), SMALL / (1 - below))


class ImageMethod(Learner):
    """One paper's way of training and scoring, whatever it needs of an image."""

    title: ClassVar[str]  # the row's name in a table
    source: ClassVar[str]  # paper and section
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {}  # of stages that only this method has

    @abstractmethod
    def forward(self, images: Tensor) -> Prediction:
        """Score images (B, C, H, W) in [0, 1]; in eval mode each by itself."""

    def check_prediction(self, said: Any, num_images: int) -> None:
        """Refuse what `forward` may not return.

        Raises:
            TrainingError: no Prediction, or one with a part of another shape.
        """
        asked = {
            "logits": (num_images, self.num_known),
            "unknown_score": (num_images,),
            "embedding": (num_images, self.backbone.dim),
        }
        if not isinstance(said, Prediction):
            problem = f"it is a {type(said).__name__}"
        elif wrong := [
            f"{name} is {shape_of(part)}"
            for (name, shape), part in zip(asked.items(), said, strict=True)
            if shape_of(part) != f"of shape {shape}"
        ]:
            problem = ", ".join(wrong)
        else:
            return
        shapes = ", ".join(f"{name} {shape}" for name, shape in asked.items())
        raise TrainingError(
            f"what method '{self.name}' says of {num_images} images must be a Prediction with "
            f"{shapes}; {problem}."
        )

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The terms and the accuracy on held-out known images."""
        losses = self.losses(batch)
        correct = self(batch.images).logits.argmax(1) == batch.label
        return {**losses, "accuracy": correct.float().mean()}

    # -- what is kept of a trained method besides its scores --------------------------------------

    def num_parameters(self) -> int:
        """Trained parameters; override where some of them are for training only."""
        return count_parameters(self)

    def num_additional_parameters(self) -> int:
        """Trained prototypes and reciprocal points, as PMAL's Table 2 counts; default: none."""
        return 0

    def prototype_embeddings(self) -> Tensor | None:
        """(K, T, D) each class's prototypes among the embeddings; None where there are none."""
        return None

    # -- what the paper prescribes ---------------------------------------------------------------

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        """The stage that leaves the weights which this method scores with; default: one fit."""
        return trial.fit()

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """Network options and schedule of the paper; default: the common recipe."""
        return common(benchmark)


class Method(ImageMethod):
    """One paper's way of training and scoring, by embeddings alone."""

    @abstractmethod
    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Weighted scalar terms, one for each of `terms`: batch means at embeddings (B, D)."""

    @abstractmethod
    def predict(self, embedding: Tensor) -> Prediction:
        """What is said about images with these embeddings (B, D); in eval mode each by itself."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.losses_at(self.embed(batch.images), batch.label)

    def forward(self, images: Tensor) -> Prediction:
        return self.predict(self.embed(images))

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """As of every image method, from one pass of the backbone."""
        embedding = self.embed(batch.images)
        correct = self.predict(embedding).logits.argmax(1) == batch.label
        return {**self.losses_at(embedding, batch.label), "accuracy": correct.float().mean()}
