"""The one training loop: any method, resumable at an epoch, no method known by name.

Randomness of epoch e (order, augmentation, dropout) is seeded by what the fit is and e, so a
resumed fit needs no generator states and continues bit for bit on CPU.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from osr_core.context import Checkpoint, Report
from osr_core.data.batches import Batches
from osr_core.data_parallel import ALONE, DataParallel
from osr_core.errors import TrainingError, unknown_name
from osr_core.generators import seeded
from osr_core.graphs import Steps
from osr_core.identity import seed_for
from osr_core.means import Means
from osr_core.methods.learner import Learner, set_rate
from osr_core.recipes import Training
from osr_core.tensors import from_bytes, to_bytes


@dataclass
class Progress:
    """How far a fit is: everything but the weights and the optimisers' tensors."""

    epoch: int = 0  # epochs done
    best: float | None = None  # the best value of `keep` so far
    history: list[dict[str, float]] = field(default_factory=list)  # one mapping per epoch


class Fit:
    """One method being trained by one schedule.

    `seed` is the identity that every draw is derived from.
    """

    def __init__(
        self,
        method: Learner,
        train: Batches,
        validation: Batches | None,
        training: Training,
        seed: int,
        until: int | None = None,
        processes: DataParallel = ALONE,
    ) -> None:
        """`until` is the epoch after which `run` ends; default: the last one of the schedule.
        `processes` are those that train together; `train` gives this one its part of each batch.

        Raises:
            TrainingError: the schedule asks for what is not there.
            ValueError: a label outside [0, K); steps do not look at labels again.
        """
        if training.keep != "last" and validation is None:
            raise TrainingError(f"keep '{training.keep}' needs validation > 0; it is 0")
        if training.keep not in (allowed := ("last", "accuracy", *method.terms)):
            raise TrainingError(unknown_name("keep", training.keep, allowed))
        if len(train) < 2:
            raise TrainingError(f"training needs at least 2 images; there are {len(train)}")
        for batches in filter(None, (train, validation)):
            method.check_labels(batches.labels)
        self.method, self.train, self.validation = method, train, validation
        self.training, self.seed = training, seed
        self.until = training.epochs if until is None else until
        self.device, self.processes = train.labels.device, processes
        self.optimizers = self.fresh_optimizers()
        self.steps = Steps(method, train.augmented, self.device, processes)
        self.kept: dict[str, Tensor] | None = None
        self.progress = Progress()
        self.unfinished: bytes | None = None  # what to go on from, if the schedule does

    def run(
        self, checkpoint: Checkpoint, report: Report, begun: bytes | None = None
    ) -> list[dict[str, float]]:
        """Train to the end, from the checkpoint if there is one; the history, one row per epoch.

        The last epoch is saved in any case: what follows the training may be stopped, or fail.
        `begun` is the state to start from where there is no checkpoint.

        Raises:
            TrainingError: a loss that is not a finite number, with the epoch and the terms.
        """
        if (saved := checkpoint.load() or begun) is not None:
            self.load_state(saved)
        self.processes.share_batches(self.method)
        while self.progress.epoch < self.until:
            drawn_for = (self.seed, "epoch", self.progress.epoch, *self.processes.identity)
            with seeded(*drawn_for, device=self.device):
                row = self.one_epoch()
            self.progress.history.append(row)
            self.progress.epoch += 1
            report(self.progress.epoch, row)
            if checkpoint.due() or self.progress.epoch == self.until:
                checkpoint.save(self.state())
        if self.until < self.training.epochs:
            self.unfinished = self.state()
        self.steps.end()
        self.restore_kept()
        return self.progress.history

    def one_epoch(self) -> dict[str, float]:
        """One pass over the training images; what is logged of it."""
        start, epoch, training = time.monotonic(), self.progress.epoch, self.training
        if training.restart_at_drops and epoch in drop_epochs(training):
            self.restart()
        for optimizer in self.optimizers.values():
            set_rate(optimizer, lr_factor(training, epoch))
        row = self.train_epoch(torch.Generator().manual_seed(seed_for(self.seed, "order", epoch)))
        if self.validation is not None:
            row |= self.processes.agreed(validate(self.method, self.validation), self.device)
            if not all_finite(row):
                self.refuse(", ".join(f"{name}={value:g}" for name, value in row.items()))
            self.keep_if_best(row)
        return row | {
            "lr": training.lr * lr_factor(training, epoch),
            "wall_s": time.monotonic() - start,
        }

    def train_epoch(self, generator: torch.Generator) -> dict[str, float]:
        """Every training image once, in an order drawn from `generator`; the means of the terms.

        Raises:
            TrainingError: one of them is not a finite number.
        """
        self.method.train()
        self.method.refresh()
        self.steps.begin(self.optimizers)
        means = Means()
        for batch in self.train.shuffled(generator):
            self.processes.num_images = len(batch.label)
            means.add(self.steps(batch), len(batch.label))
        row = means.of_all(self.processes).under("train/")
        if not all_finite(row):
            self.refuse(means.lost_terms())
        return row

    def restart(self) -> None:
        """Go on from the kept weights with fresh optimisers, as the authors of CAC do.

        Their closed-set baseline has the best accuracy so far still to beat (train_closedSet.py);
        for a loss term, the choice is among the epochs to come (train_cacOpenset.py).
        """
        self.restore_kept()
        self.optimizers = self.fresh_optimizers()
        if self.training.keep != "accuracy":
            self.progress.best = None

    def fresh_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """At the peak of the learning rate; of several processes they take one step together."""
        optimizers = self.method.optimizers(self.training)
        self.processes.share_steps(optimizers.values())
        return optimizers

    def refuse(self, terms: str) -> NoReturn:
        """Stop a fit whose loss is lost, in these terms."""
        raise TrainingError(
            f"loss is not a finite number in epoch {self.progress.epoch + 1} of "
            f"{self.training.epochs}: {terms}. Lower the learning rate "
            f"(lr={self.training.lr:g})."
        )

    def keep_if_best(self, row: Mapping[str, float]) -> None:
        """Remember the weights if `keep` says so: highest accuracy, or lowest loss term.

        Of equal epochs the first is kept for its accuracy, the last for a loss term: the two rules
        of CAC's authors, as in `restart`.
        """
        keep, best = self.training.keep, self.progress.best
        if keep == "last":
            return
        value = row[f"val/{keep}"]
        value = -value if keep == "accuracy" else value
        if best is None or value < best or (value == best and keep != "accuracy"):
            self.progress.best = value
            self.kept = {name: t.detach().clone() for name, t in self.method.state_dict().items()}

    def restore_kept(self) -> None:
        """Go back to the weights kept, if any."""
        if self.kept is not None:
            self.method.load_state_dict(self.kept)

    def state(self) -> bytes:
        """All that `load_state` needs to go on after the last whole epoch."""
        tensors = {f"method/{name}": t for name, t in self.method.state_dict().items()}
        tensors |= {f"kept/{name}": t for name, t in (self.kept or {}).items()}
        header: dict[str, Any] = {"progress": vars(self.progress), "scalars": {}}
        for role, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                for name, value in values.items():
                    key = f"optimizer/{role}/{index}/{name}"
                    if isinstance(value, Tensor):
                        tensors[key] = value
                    elif value is not None:
                        header["scalars"][key] = value
        return to_bytes(tensors, header)

    def load_state(self, content: bytes) -> None:
        """Take what `state` gave."""
        tensors, header = from_bytes(content)
        self.progress = Progress(**header["progress"])
        self.method.load_state_dict(_under("method/", tensors))
        self.kept = _under("kept/", tensors) or None
        for role, optimizer in self.optimizers.items():
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            state: dict[int, dict[str, Any]] = {}
            for key, value in _under(f"optimizer/{role}/", tensors | header["scalars"]).items():
                index, name = key.split("/")
                value = _laid_out_as(parameters[int(index)], value)
                state.setdefault(int(index), {})[name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})


def all_finite(row: Mapping[str, float]) -> bool:
    """Whether no number of a row is lost."""
    return all(map(math.isfinite, row.values()))


def _under(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): v for key, v in values.items() if key.startswith(prefix)}


def _laid_out_as(parameter: Tensor, value: Any) -> Any:
    """`value` in its parameter's order in memory, which fused updates take for granted."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)


@torch.no_grad()
def validate(method: Learner, batches: Batches) -> dict[str, float]:
    """Means of the loss terms and the accuracy on held-out known images, in eval mode."""
    method.eval()
    method.refresh()
    means = Means()
    for batch in batches.ordered():
        means.add(method.validation(batch), len(batch.label))
    return means.under("val/")


def drop_epochs(training: Training) -> list[int]:
    """The epochs, counted from 0, that begin with a lower learning rate."""
    return [round(fraction * training.epochs) for fraction in training.drops]


def lr_factor(training: Training, epoch: int) -> float:
    """What the peak learning rate is multiplied by in an epoch counted from 0.

    Warm-up rises linearly to 1 and takes a tenth of the first cycle at most, so that a shortened
    schedule keeps its shape; a cosine falls to 1/1000 in each cycle.
    """
    cosine = training.schedule == "cosine"
    period = math.ceil(training.epochs / training.cycles) if cosine else training.epochs
    warmup = min(training.warmup_epochs, period // 10)
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    if not cosine:
        return training.drop_factor ** sum(epoch >= drop for drop in drop_epochs(training))
    floor = 1e-3
    return floor + (1 - floor) * (1 + math.cos(math.pi * (epoch % period) / period)) / 2
