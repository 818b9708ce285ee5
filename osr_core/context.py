"""What a stage may touch, and what it leaves: the two ends of every stage function.

The context hands out known training images only; `score` alone gets a `ScoreContext`, through
which the test images can be reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osr_core.backbones import build_backbone
from osr_core.config import build
from osr_core.data.base import ImageSet
from osr_core.data.tasks import TestSet, known_train, open_test
from osr_core.methods import Method, method_named
from osr_core.tensors import from_bytes
from osr_core.training import Checkpoint, Report

WEIGHTS, HISTORY, SCORES = "weights.safetensors", "history.parquet", "scores.parquet"
EMBEDDINGS = "embeddings.parquet"


@dataclass(frozen=True)
class Result:
    """What a stage leaves: files by name, and numbers by name."""

    artifacts: Mapping[str, bytes]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a stage may touch besides its config."""

    inputs: Mapping[str, Mapping[str, bytes]]  # artifacts of the upstream stages by role and name
    data_root: Path | None
    device: torch.device
    checkpoint: Checkpoint
    report: Report

    def train(self, config: Mapping[str, Any]) -> ImageSet:
        """The known training images of the stage's task, labelled by position."""
        backbone = config["backbone"]
        return known_train(
            self.data_root,
            config["task"],
            image_size=backbone["image_size"],
            channels=backbone["channels"],
        )

    def tensors(self, role: str) -> dict[str, Tensor]:
        """All tensors that the upstream stage in `role` left, on the CPU."""
        tensors: dict[str, Tensor] = {}
        for name, content in self.inputs[role].items():
            if name.endswith(".safetensors"):
                tensors |= from_bytes(content)[0]
        return tensors

    def weights(self, role: str) -> dict[str, Tensor]:
        """The weights that the upstream stage in `role` left."""
        return from_bytes(self.inputs[role][WEIGHTS])[0]

    def method(self, config: Mapping[str, Any], num_known: int) -> Method:
        """The stage's method with fresh weights on the device."""
        settings = dict(config["method"])
        cls, _ = method_named(settings.pop("name")), settings.pop("version")
        method = cls(build_backbone(config["backbone"]), num_known, build(cls.Config, settings))
        return method.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class ScoreContext(Context):
    """The context of `score`: the only way to the test images, the unknown ones included."""

    def test(self, config: Mapping[str, Any]) -> TestSet:
        """All test images of the split's known and unknown classes."""
        backbone = config["backbone"]
        return open_test(
            self.data_root,
            config["test"],
            image_size=backbone["image_size"],
            channels=backbone["channels"],
        )
