"""How PMAL's rejections fare on CIFAR-10 while its network learns, with RandAugment and without.

One fit from fresh weights for each augmentation, with prototypes that two classifiers of
`benchmarks.choices.robustness` have found; it is scored as it stands after some of its epochs:

    accuracy        of known test images
    DR, PR          AUROC by the distance to the prototypes and by the probability
    largest_logit   AUROC by the largest logit, as MLS scores

Split 0, the small network at an eighth of its width. Nothing is chosen by these numbers. Half an
hour on one core.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.choices.robustness import TASKS, last_fit
from benchmarks.in_process import NoCheckpoint, Stages
from osr_core.context import SCORES, WEIGHTS, Context
from osr_core.data import BENCHMARKS
from osr_core.data.batches import Batches
from osr_core.execution import run_stage
from osr_core.methods.base import log_odds_of_unknown
from osr_core.methods.pmal.method import PMAL
from osr_core.metrics import auroc
from osr_core.recipes import randaugmented
from osr_core.stage import Stage
from osr_core.tensors import from_bytes, to_bytes

EPOCHS = (1, 2, 5, 10, 20, 30)
(TASK,) = (task for task in TASKS if task.dataset == "cifar10")


class Snapshots(NoCheckpoint):
    """Keeps a fit's state after each of EPOCHS."""

    def __init__(self) -> None:
        self.epoch = 0
        self.states: dict[int, bytes] = {}

    def due(self) -> bool:
        """Whether this epoch is one of them."""
        self.epoch += 1
        return self.epoch in EPOCHS

    def save(self, content: bytes) -> None:
        """Keep it."""
        self.states[self.epoch] = content


def measure() -> list[dict[str, Any]]:
    """One row per augmentation and epoch."""
    stages, rows = Stages(), []
    for with_randaugment in (False, True):
        trial = TASK.trial(stages, warm_start=False)
        training = replace(trial.training, epochs=max(EPOCHS))
        if with_randaugment:
            augmentation = randaugmented(BENCHMARKS[TASK.dataset], flip=True)
            training = replace(training, augmentation=augmentation)
        fit = last_fit(trial, training)
        mined = stages.run(fit.inputs["prototypes"])
        context = stages.context({"prototypes": mined.artifacts})
        snapshots = Snapshots()
        run_stage("fit", fit.config, replace(context, checkpoint=snapshots))
        for epoch, state in snapshots.states.items():
            row: dict[str, float] = {"randaugment": with_randaugment, "epoch": epoch}
            row |= scored(stages, trial.score, weights(context, fit, state))
            print("   " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            rows.append(row)
    return rows


def weights(context: Context, fit: Stage, state: bytes) -> dict[str, Tensor]:
    """What the fit would leave if it ended here: the prototypes embedded by this network."""
    saved, _ = from_bytes(state)
    method = PMAL.fresh(fit.config, len(fit.config["task"]["known"]), context.device)
    method.load_state_dict(
        {name.removeprefix("method/"): t for name, t in saved.items() if name.startswith("method/")}
    )
    train = Batches(context.train(fit.config), batch_size=512, device=context.device)
    method.eval().prepare(train, {"prototypes": context.tensors("prototypes")})
    return method.state_dict()


def scored(stages: Stages, score: Stage, model: Mapping[str, Tensor]) -> dict[str, float]:
    """Accuracy and AUROCs of these weights on the test images."""
    context = stages.context({"model": {WEIGHTS: to_bytes(model)}})
    result = run_stage("score", score.config, context)
    table = pq.read_table(io.BytesIO(result.artifacts[SCORES]))
    label, logits = table["label"].to_numpy(), torch.tensor(table["logits"].to_pylist())
    numbers = {
        "accuracy": result.metrics["test/accuracy"],
        "DR": result.metrics["test/auroc"],
        "PR": auroc(log_odds_of_unknown(logits), label),
        "largest_logit": auroc(-logits.amax(1), label),
    }
    return {name: round(value, 4) for name, value in numbers.items()}
