"""What every method is: data prepared, losses minimised, state calibrated, images scored.

B images per batch, K known classes, D embedding width. Signs are settled once and for all:
larger logits are more that class, a larger unknown_score is more unknown.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from osr_core.backbones import Backbone, build_backbone
from osr_core.config import build, check
from osr_core.context import StageFunction
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch, Batches
from osr_core.errors import TrainingError
from osr_core.kinds import Kind
from osr_core.precision import backbone_precision
from osr_core.recipes import Recipe, Training, common
from osr_core.stage import Stage
from osr_core.trial import Trial

SMALL = 1e-16  # 1 + SMALL is 1 in float64


def make_optimizer(parameters: Iterable[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """The optimiser that a schedule names; it starts at the peak learning rate."""
    lr, decay = training.lr, training.weight_decay
    group = [{"params": list(parameters), "initial_lr": lr}]
    if training.optimizer == "sgd":
        return torch.optim.SGD(group, lr=lr, momentum=training.momentum, weight_decay=decay)
    return torch.optim.Adam(group, lr=lr, betas=(training.momentum, 0.999), weight_decay=decay)


def count_parameters(*modules: nn.Module) -> int:
    """How many numbers an optimiser would change; buffers are none of them."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


class Prediction(NamedTuple):
    """What a method says about B images."""

    logits: Tensor  # (B, K), larger = more that class; argmax is the predicted class
    unknown_score: Tensor  # (B,), larger = more unknown
    embedding: Tensor  # (B, D), the backbone's output


def log_odds_of_unknown(logits: Tensor) -> Tensor:
    """(B,) log((1 - p) / p) of the largest softmax probability p, from logits (B, K), K >= 2.

    It ranks like -p and never ties where p rounds to 1, which it does in float32 from 1 - 6e-8 on.
    """
    best = logits.argmax(1, keepdim=True)
    others = logits.scatter(1, best, -torch.inf).logsumexp(1)
    return others - logits.gather(1, best).squeeze(1)


def unsaturated_exp(exponent: Tensor) -> Tensor:
    """exp(x) of float64 x, but what float32 and 1 + exp(x) would lose below SMALL stays in order.

    There it is SMALL / (1 + log SMALL - x), which rises with x and meets exp(x) with its slope; the
    limit is 0, at minus infinity.
    """
    below = exponent - math.log(SMALL)
    return torch.where(below > 0, exponent.exp(), SMALL / (1 - below))


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """Base of every method's hyperparameters; each field is a `setting`."""

    def __post_init__(self) -> None:
        check(self)


class Method(nn.Module, ABC):
    """One paper's way of training and scoring."""

    name: ClassVar[str]  # what a spec calls it
    title: ClassVar[str]  # the row's name in a table
    source: ClassVar[str]  # paper and section
    version: ClassVar[int] = 1  # raised by the commit that moves this method's numbers
    terms: ClassVar[tuple[str, ...]]  # the keys of `losses`
    passes: ClassVar[int] = 1  # of an image, or a fake for it, through the network in an epoch
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {}  # of stages that only this method has
    of_any_size: ClassVar[Collection[str]] = ()  # buffers that take the size of what is loaded
    Config: ClassVar[type[MethodConfig]] = MethodConfig

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_known = num_known
        self.config: Any = config

    @classmethod
    def fresh(cls, config: Mapping[str, Any], num_known: int, device: torch.device) -> Self:
        """With untrained weights on the device, by the "method" and "backbone" of a stage."""
        settings = {k: v for k, v in config["method"].items() if k not in ("name", "version")}
        method = cls(build_backbone(config["backbone"]), num_known, build(cls.Config, settings))
        return method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    # -- the life of a method, in the order of a paper ------------------------------------------

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Before epoch 0: take what upstream stages left (tensors by role and name)."""

    @abstractmethod
    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Weighted scalar terms, one for each of `terms`: batch means at embeddings (B, D)."""

    @abstractmethod
    def predict(self, embedding: Tensor) -> Prediction:
        """What is said about images with these embeddings (B, D); in eval mode each by itself."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of a batch; the loop minimises their sum.

        Raises:
            ValueError: a label outside [0, K).
        """
        self.check_labels(batch.label)
        return self.losses_at(self.embed(batch.images), batch.label)

    def forward(self, images: Tensor) -> Prediction:
        """Score images (B, C, H, W) in [0, 1]; in eval mode each by itself."""
        return self.predict(self.embed(images))

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        """One optimiser of all parameters. `initial_lr` of each group is its peak."""
        return {"main": make_optimizer(self.parameters(), training)}

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """One update; detached terms come back. Override where a paper has more than one step."""
        terms = self.losses(batch)
        optimizers["main"].zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizers["main"].step()
        return {name: term.detach() for name, term in terms.items()}

    def refresh(self) -> None:
        """Before each epoch and each validation: recompute buffers that follow the weights."""

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The terms and the accuracy on held-out known images, from one pass of the backbone."""
        self.check_labels(batch.label)
        embedding = self.embed(batch.images)
        correct = self.predict(embedding).logits.argmax(1) == batch.label
        return {**self.losses_at(embedding, batch.label), "accuracy": correct.float().mean()}

    def calibrate(self, train: Batches) -> None:
        """After the last epoch, in eval mode and without gradients: fit what scoring needs."""

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

    # -- what a fit costs ------------------------------------------------------------------------

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """Of a fit besides its `passes`, by arithmetic; default: none, as heads hardly count.

        `num_images` are trained on in each epoch.
        """
        return 0.0

    # -- what the paper prescribes ---------------------------------------------------------------

    @classmethod
    def setting_names(cls) -> Collection[str]:
        """The fields of `Config`."""
        return {field.name for field in fields(cls.Config)}

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        """The stage that leaves the weights which this method scores with; default: one fit."""
        return trial.fit()

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """Network options and schedule of the paper; default: the common recipe."""
        return common(benchmark)

    # -- helpers for subclasses ------------------------------------------------------------------

    def embed(self, images: Tensor) -> Tensor:
        """(B, D) float32 embeddings; in training the backbone runs in bfloat16 on CUDA.

        Raises:
            TrainingError: in eval mode, embeddings that are not finite, by which nothing can be
                calibrated, mined or scored.
        """
        with backbone_precision(images.device, training=self.training):
            embedding: Tensor = self.backbone(images)
        lost = None if self.training else ~embedding.isfinite().all(1)
        if lost is not None and lost.any():
            raise TrainingError(
                f"the network's embeddings of {int(lost.sum())} of {len(images)} images are not "
                "finite numbers, though its weights may be. Train it with a lower learning rate."
            )
        return embedding.float()

    def load_classifier(self, weights: Mapping[str, Tensor]) -> None:
        """Start from weights of another method's fit; only buffers of one's own may be missing.

        Raises:
            TrainingError: a parameter that is missing, a weight of another shape or one that has no
                place here; names all of them.
        """
        self._load(weights, {name for name, _ in self.named_parameters()})

    def load_trained(self, weights: Mapping[str, Tensor]) -> None:
        """Take all that a stage left of this method.

        Raises:
            TrainingError: as `load_classifier`; no buffer may be missing either.
        """
        self._load(weights, self.state_dict().keys())

    def _load(self, weights: Mapping[str, Tensor], needed: Collection[str]) -> None:
        problems = [
            *(f"{name} is missing" for name in needed if name not in weights),
            *(f"{name} has no place" for name in weights.keys() - self.state_dict().keys()),
            *(
                f"{name} is of shape {tuple(weights[name].shape)}, not {tuple(own.shape)}"
                for name, own in self.state_dict().items()
                if name in weights and name not in self.of_any_size
                if weights[name].shape != own.shape
            ),
        ]
        if problems:
            raise TrainingError(f"weights do not fit '{self.name}': {', '.join(sorted(problems))}")
        self.load_state_dict(weights, strict=False)

    def check_labels(self, label: Tensor) -> None:
        """Refuse labels outside [0, K): unknowns do not exist in training."""
        low, high = torch.aminmax(label)
        if low < 0 or high >= self.num_known:
            raise ValueError(
                f"labels must be in [0, {self.num_known}), got {int(low)} to {int(high)}; "
                "only known classes are trained on"
            )
