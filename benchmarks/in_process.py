"""Stages run one after another in this process, without Ray and without a store."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from osr_core.context import WEIGHTS, Context, Result
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.execution import run_stage
from osr_core.methods import method_named
from osr_core.stage import Stage
from osr_core.tensors import from_bytes


class NoCheckpoint:
    """Nothing is saved on the way."""

    def load(self) -> bytes | None:
        """Nothing was saved before."""
        return None

    def due(self) -> bool:
        """It never is."""
        return False

    def save(self, content: bytes) -> None:
        """Forget it."""

    def between_batches(self) -> None:
        """Nobody stops it."""


class Stages:
    """Runs each stage once, after those that it needs; data lie under OSR_DATA."""

    def __init__(self) -> None:
        self.data_root = Path(os.environ["OSR_DATA"]) if "OSR_DATA" in os.environ else None
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.results: dict[str, Result] = {}

    def run(self, stage: Stage) -> Result:
        """What the stage leaves."""
        if stage.id not in self.results:
            inputs = {role: self.run(each).artifacts for role, each in stage.inputs.items()}
            self.results[stage.id] = run_stage(stage.kind.name, stage.config, self.context(inputs))
        return self.results[stage.id]

    def context(self, inputs: Mapping[str, Mapping[str, bytes]]) -> Context:
        """What a stage may touch."""
        return Context(
            inputs=inputs,
            data_root=self.data_root,
            device=self.device,
            checkpoint=NoCheckpoint(),
            report=lambda epoch, row: None,
        )

    def train_images(self, fit: Stage) -> ImageSet:
        """The images that a fit learns from."""
        return self.context({}).train(fit.config)

    def train_logits(self, fit: Stage) -> Tensor:
        """(N, K) of a fit's own training images, as they are, in the reader's order."""
        num_known = len(fit.config["task"]["known"])
        method = method_named(fit.config["method"]["name"]).fresh(
            fit.config, num_known, self.device
        )
        method.load_state_dict(from_bytes(self.run(fit).artifacts[WEIGHTS])[0])
        method.eval()
        batches = Batches(self.train_images(fit), batch_size=512, device=self.device)
        with torch.no_grad():
            return torch.cat([method(batch.images).logits for batch in batches.ordered()]).cpu()
