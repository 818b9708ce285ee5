"""What a fit trains: a network with its losses and its optimisers; most of them score images, too.

B images per batch, K known classes, D embedding width.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from osr_core.backbones import Backbone, build_backbone
from osr_core.config import build, check
from osr_core.data.batches import Batch, Batches
from osr_core.errors import TrainingError
from osr_core.precision import backbone_precision
from osr_core.recipes import Training
from osr_core.stage import Stage

FUSED_ON = {"cuda"}  # types of devices on which an update is few kernels for all parameters


def make_optimizer(parameters: Iterable[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """The optimiser that a schedule names; it starts at the peak learning rate.

    A fused one reads its rate, a float32, and counts its steps on the device, as a graph must.
    """
    own, decay = list(parameters), training.weight_decay
    fused = own[0].device.type in FUSED_ON
    lr = torch.tensor(training.lr, device=own[0].device) if fused else training.lr
    group = [{"params": own, "initial_lr": training.lr}]
    if training.optimizer == "sgd":
        momentum = training.momentum
        return torch.optim.SGD(
            group, lr=lr, momentum=momentum, weight_decay=decay, fused=fused or None
        )
    betas = (training.momentum, 0.999)
    return torch.optim.Adam(group, lr=lr, betas=betas, weight_decay=decay, fused=fused or None)


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Let an optimiser learn at `factor` times its peak rate, in place where that is a tensor."""
    for group in optimizer.param_groups:
        lr = group["initial_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, *more: torch.optim.Optimizer) -> None:
    """One step of the optimisers' own parameters; no others get a gradient."""
    groups = [group for each in (optimizer, *more) for group in each.param_groups]
    own = [parameter for group in groups for parameter in group["params"]]
    for each in (optimizer, *more):
        each.zero_grad(set_to_none=True)
    loss.backward(inputs=own)  # type: ignore[no-untyped-call]
    for each in (optimizer, *more):
        each.step()


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """Base of every method's hyperparameters; each field is a `setting`."""

    def __post_init__(self) -> None:
        check(self)


def refuse_lost_embeddings(embedding: Tensor) -> None:
    """Insist on numbers in embeddings (B, D), or nothing can be calibrated, mined or scored.

    Raises:
        TrainingError: some are not finite.
    """
    lost = ~embedding.isfinite().all(1)
    if lost.any():
        raise TrainingError(
            f"the network's embeddings of {int(lost.sum())} of {len(lost)} images are not "
            "finite numbers, though its weights may be. Train it with a lower learning rate."
        )


class Learner(nn.Module, ABC):
    """What `training.Fit` trains and a fit leaves the weights of."""

    name: ClassVar[str]  # what a spec calls it
    version: ClassVar[int] = 1  # raised by the commit that moves this method's numbers
    terms: ClassVar[tuple[str, ...]]  # the keys of `losses`
    passes: ClassVar[int] = 1  # of an image, or a fake for it, through the network in an epoch
    divisible: ClassVar[bool] = False  # terms are means over images, and no step draws anything
    static_step: bool = False  # each class says so for itself, see `train_step`
    of_any_size: ClassVar[Collection[str]] = ()  # buffers that take the size of what is loaded
    Config: ClassVar[type[MethodConfig]] = MethodConfig

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.static_step = vars(cls).get("static_step", False)  # a subclass may step otherwise

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

    # -- the life of a learner, in the order of a paper -----------------------------------------

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Before epoch 0: take what upstream stages left (tensors by role and name)."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted scalar terms of a batch, one for each of `terms`; the loop minimises their sum.

        Labels are in [0, K): the loop has looked at all of them before its first epoch. Nothing is
        read off a tensor here, nor in `train_step`, which would wait for the device.
        """

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        """One optimiser of all parameters. `initial_lr` of each group is its peak.

        On a GPU they are fused, and one with momentum asks that every parameter that ever learns
        gets a gradient in the first step.
        """
        return {"main": make_optimizer(self.parameters(), training)}

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """One update; detached terms come back. Override where a paper has more than one step.

        Other numbers of the batch may come back behind them; all are logged as means over images.

        With `static_step`, all steps on batches of one size do the same with the same tensors: what
        Python computes never changes (no counter, no weight that depends on the epoch), shapes do
        not depend on values, nothing is drawn on the CPU, and what lasts is written in place.
        """
        terms = self.losses(batch)
        self.check_terms(terms)
        optimizers["main"].zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizers["main"].step()
        return {name: term.detach() for name, term in terms.items()}

    def before_step(self) -> None:
        """Before each `train_step`: what not every one of them needs; it writes in place."""

    def refresh(self) -> None:
        """Before each epoch and each validation: recompute buffers that follow the weights."""

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """What is measured on held-out known images."""
        return self.losses(batch)

    def look_back(self, row: Mapping[str, float]) -> None:
        """After the last epoch, whose numbers `row` has: warn if the fit came to nothing."""

    def calibrate(self, train: Batches) -> None:
        """After the last epoch, in eval mode and without gradients: fit what scoring needs."""

    @classmethod
    def fits_after_training(cls) -> bool:
        """Whether scoring needs what `calibrate` finds."""
        return cls.calibrate is not Learner.calibrate

    @classmethod
    def setting_names(cls) -> Collection[str]:
        """The fields of `Config`."""
        return {field.name for field in fields(cls.Config)}

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """Of a fit besides its `passes`, by arithmetic; default: none, as heads hardly count.

        `num_images` are trained on in each epoch.
        """
        return 0.0

    def check_terms(self, terms: Any) -> None:
        """Refuse what `losses` may not return.

        Raises:
            TrainingError: no dict, other keys than `terms`, a term that is no scalar.
        """
        if not isinstance(terms, Mapping):
            problem = f"return a {type(terms).__name__}, not a dict with"
        elif terms.keys() != set(self.terms):
            problem = f"have the keys {', '.join(map(str, terms))}, not"
        elif wide := [f"{name} {tuple(term.shape)}" for name, term in terms.items() if term.ndim]:
            problem = f"have terms of shape {', '.join(wide)}, not batch means,"
        else:
            return
        raise TrainingError(
            f"the losses of method '{self.name}' {problem} a scalar tensor for each of its `terms` "
            f"({', '.join(self.terms)})."
        )

    # -- helpers for subclasses ------------------------------------------------------------------

    def embed(self, images: Tensor) -> Tensor:
        """(B, D) float32 embeddings; in training the backbone runs in bfloat16 on CUDA.

        Raises:
            TrainingError: in eval mode, embeddings that are not finite, by which nothing can be
                calibrated, mined or scored.
        """
        with backbone_precision(images.device, training=self.training):
            embedding: Tensor = self.backbone(images)
        if not self.training:
            refuse_lost_embeddings(embedding)
        return embedding.float()

    def embed_stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `embed`, and with it the maps of all of the backbone's `stages`, in float32.

        The precision is that of training where the backbone is in training mode: one that is frozen
        is not, whatever stands on it.
        """
        with backbone_precision(images.device, training=self.backbone.training):
            maps = self.backbone.stages(images)
            embedding = self.backbone.pool(maps[-1])
        if not self.training:
            refuse_lost_embeddings(embedding)
        return embedding.float(), [each.float() for each in maps]

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
        """Refuse labels (N,) outside [0, K): unknowns do not exist in training.

        Raises:
            ValueError: there are some. It waits for the device, so a data set is asked once.
        """
        low, high = torch.aminmax(label)
        if low < 0 or high >= self.num_known:
            raise ValueError(
                f"labels must be in [0, {self.num_known}), got {int(low)} to {int(high)}; "
                "only known classes are trained on"
            )
