"""What a stage may touch, and what it leaves: the two ends of every stage function.

The context hands out known training images only; what gives a trial its scores alone gets a
`ScoreContext`, through which the test images can be reached.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.data.inner_splits import inner_held_out, inner_train
from osr_core.data.tasks import TestSet, known_train, open_test
from osr_core.tensors import from_bytes

WEIGHTS, HISTORY, SCORES = "weights.safetensors", "history.parquet", "scores.parquet"
EMBEDDINGS = "embeddings.parquet"
TENSORS = ".safetensors"  # how the artifacts are called that later stages read
STATE = "state.safetensors"  # of a fit that is not at the end of its schedule

Report = Callable[[int, Mapping[str, float]], None]
"""Told after each epoch: how many are done, and what is logged of the last one."""


class Checkpoint(Protocol):
    """Where a fit leaves its state; `sweeps` gives one that writes to the store."""

    def load(self) -> bytes | None:
        """The last state saved, if any."""

    def due(self) -> bool:
        """Whether it is time to save."""

    def save(self, content: bytes) -> None:
        """Replace the state, atomically."""

    def between_batches(self) -> None:
        """Called often where a stage has no state to save, or no newer one; it may end here."""


@dataclass(frozen=True)
class Result:
    """What a stage leaves: files by name, and numbers by name."""

    artifacts: Mapping[str, bytes]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a stage may touch besides its config."""

    inputs: Mapping[str, Mapping[str, bytes]]  # upstream stages' tensors by role and artifact
    data_root: Path | None
    device: torch.device
    checkpoint: Checkpoint
    report: Report
    num_processes: int = 1  # that train a network together, each on a device of its own

    def train(self, config: Mapping[str, Any]) -> ImageSet:
        """The known training images of the stage's task, labelled by position.

        Of an inner task, as a search has it, those that are not held out.
        """
        task, backbone = config["task"], config["backbone"]
        read = inner_train if "held_out" in task else known_train
        return read(
            self.data_root,
            task,
            image_size=backbone["image_size"],
            channels=backbone["channels"],
        )

    def batches(self, images: ImageSet) -> Batches:
        """Images for a stage that goes through them as they are; it may be ended at any batch."""
        ask = self.checkpoint.between_batches
        return Batches(images, batch_size=512, device=self.device, before_each=ask)

    def tensors(self, role: str) -> dict[str, Tensor]:
        """All tensors that the upstream stage in `role` left, on the CPU."""
        tensors: dict[str, Tensor] = {}
        for name, content in self.inputs[role].items():
            if name.endswith(TENSORS):
                tensors |= from_bytes(content)[0]
        return tensors

    def weights(self, role: str) -> dict[str, Tensor]:
        """The weights that the upstream stage in `role` left."""
        return from_bytes(self.inputs[role][WEIGHTS])[0]


class ValidateContext(Context):
    """The context of `validate`: the only way to the images that a search holds out."""

    def held_out(self, config: Mapping[str, Any]) -> ImageSet:
        """The images that an inner task keeps from training; hidden classes' as unknown ones."""
        backbone = config["backbone"]
        return inner_held_out(
            self.data_root,
            config["task"],
            image_size=backbone["image_size"],
            channels=backbone["channels"],
        )


class ScoreContext(Context):
    """The context of what gives scores: the only way to the test images, unknown ones included."""

    def test(self, config: Mapping[str, Any]) -> TestSet:
        """All test images of the split's known and unknown classes."""
        backbone = config["backbone"]
        return open_test(
            self.data_root,
            config["test"],
            image_size=backbone["image_size"],
            channels=backbone["channels"],
        )


StageFunction = Callable[[Context, Mapping[str, Any]], Result]
"""What runs a stage: its context and its config in, what it leaves out."""
