"""OpenMax's rules on networks of ours: the printed formula, OSRCI's, and the one that was here.

On five splits of each data set one softmax classifier; all rows of a split stand on its logits. The
older rule subtracted each image's lowest logit before the printed formula.

    auroc           by score, in the order of RULES; it rests on test unknowns, and no default may
                    be chosen by it
    known_rejected  share of the known test images whose largest activation is the unknown class's;
                    it sees no unknown image

Budgets, in TASKS, are far from published ones. Data that are not under OSR_DATA are left out. Half
an hour on one core.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.in_process import Stages
from osr_core.backbones import resolve_backbone
from osr_core.context import SCORES
from osr_core.data import BENCHMARKS, UNKNOWN
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints
from osr_core.errors import DataError
from osr_core.methods.base import log_odds_of_unknown
from osr_core.methods.openmax import (
    TailConfig,
    Weibulls,
    distances_to,
    recalibrate,
    weibull_hazard,
)
from osr_core.methods.softmax import Softmax
from osr_core.metrics import accuracy, auroc
from osr_core.recipes import Augmentation, common
from osr_core.trial import Trial

SPLITS = range(5)
RULES = [
    (rule, distance) for rule in ("paper", "osrci", "older") for distance in ("eucos", "euclidean")
]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set at a budget for one core."""

    dataset: str
    epochs: int
    padding: int  # of the random crop
    width: float = 0.25  # of the OSRCI network

    def trial(self, stages: Stages, split: int) -> Trial:
        """Softmax by the common recipe without RandAugment."""
        benchmark = BENCHMARKS[self.dataset]
        recipe, known = common(benchmark), benchmark.known
        return Trial(
            method=Softmax,
            config=Softmax.Config(),
            split=class_split(self.dataset, "cac", split),
            fingerprints=fingerprints(stages.data_root, benchmark),
            backbone=resolve_backbone(
                {**recipe.backbone, "width": self.width},
                image_size=known.image_size,
                channels=known.channels,
            ),
            training=replace(
                recipe.training,
                epochs=self.epochs,
                lr=0.05,
                warmup_epochs=1,
                batch_size=64,
                augmentation=Augmentation(crop_padding=self.padding, flip=known.mirrored),
            ),
            seed=0,
        )


TASKS = (
    Task(dataset="mnist", epochs=1, padding=2),
    Task(dataset="cifar10", epochs=40, padding=4),
)


def measure() -> list[dict[str, Any]]:
    """One row per task and split."""
    rows = []
    for task in TASKS:
        try:
            for row in measured(task):
                print("   " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                rows.append(row)
        except DataError as error:
            print(f"   {task.dataset} left out: {error}")
    return rows


def measured(task: Task) -> Iterator[dict[str, Any]]:
    """A row for each split."""
    stages = Stages()
    for split in SPLITS:
        trial = task.trial(stages, split)
        fit = trial.score.inputs["model"]
        train, label = stages.train_logits(fit), stages.train_images(fit).labels
        scored = pq.read_table(io.BytesIO(stages.run(trial.score).artifacts[SCORES]))
        test, test_label = torch.tensor(scored["logits"].to_pylist()), scored["label"].to_numpy()
        found = compared(train, label, test, torch.from_numpy(test_label.copy()))
        yield {"dataset": task.dataset, "split": split, **found}


def compared(train: Tensor, label: Tensor, test: Tensor, test_label: Tensor) -> dict[str, Any]:
    """What every rule makes of training logits (N, K) and test logits (M, K), label -1 unknown."""
    by_score = {"MSP": auroc(log_odds_of_unknown(test), test_label)}
    by_score["MLS"] = auroc(-test.amax(1), test_label)
    rejected = {}
    for rule, distance in RULES:
        config = TailConfig(rule="osrci" if rule == "osrci" else "paper", distance=distance)
        fitted = Weibulls.fit(train.double(), train, label, config)
        logits = test.double()
        used = logits - logits.amin(1, keepdim=True) if rule == "older" else logits
        name = f"{rule} {distance}"
        by_score[name] = auroc(fitted.rejection(logits, used, config), test_label)
        if rule != "osrci":
            distances = distances_to(logits, fitted.means, distance)
            hazard = weibull_hazard(distances, fitted.shape, fitted.scale, fitted.shift)
            unknown, known = recalibrate(used, -torch.expm1(-hazard), config.alpha)
            is_known = test_label != UNKNOWN
            rejected[name] = float((unknown > known.amax(1))[is_known].double().mean())
    return {
        "accuracy": round(accuracy(test.argmax(1), test_label), 4),
        "auroc": {name: round(value, 4) for name, value in by_score.items()},
        "known_rejected": {name: round(value, 4) for name, value in rejected.items()},
    }
