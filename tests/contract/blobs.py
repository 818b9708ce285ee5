"""Five classes of tiny images that can be pictured: a bright blob in one of four corners, or none.

The first three are known; the fourth corner and the empty image are far from all of them. Training
images are noisy, test images are typical ones (little noise), so that a score separates all of them
if it works at all. Everything runs through the stages that real trials run through.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from osr_core.backbones import resolve_backbone
from osr_core.config import as_dict, build
from osr_core.context import Report
from osr_core.data.base import Benchmark, ImageSet, Reader, Subset
from osr_core.data.batches import Batches
from osr_core.data.splits import ClassSplit
from osr_core.data.tasks import fingerprints
from osr_core.execution import Context, Result, run_stage, untrained
from osr_core.methods import METHODS, ImageMethod
from osr_core.recipes import Training
from osr_core.stage import Stage
from osr_core.trial import Trial

CORNERS = ((4, 4), (4, 11), (11, 4), (11, 11))
NUM_KNOWN = 3
TRAINING = Training(epochs=20, batch_size=16, lr=0.05)
GAN: dict[str, Any] = {  # for speed
    "gan_width": 0.0625,
    "gan_epochs": 4,
    "gan_lr": 0.003,
    "gan_batch": 16,
    "fakes": 80,  # two batches
    "fine_tuning_epochs": 4,  # as many as the schedules that are interrupted
}
SETTINGS: dict[str, dict[str, Any]] = {
    "openmax": {"tail": 5},  # of 40 images
    "g_openmax": {**GAN, "tail": 5, "candidates": 2},
    "osrci": {**GAN, "steps": 5},
    "crosr": {"tail": 5},
    "c2ae": {"decoder_width": 0.0625, "decoder_lr": 0.01},  # for speed
    "medaf": {"experts": 2},  # for speed
    "openhybrid": {"flow_lr": 0.01},  # within 20 epochs of 8 steps
    "knn": {"neighbours": 5},  # of 40 images; the 50th is in another class
    "pmal": {"prototypes": 4},  # not the default, so that a shape that ignores it is noticed
    "arpl_cs": {"gan_width": 4},  # for speed
    "proser": {"fine_tuning_epochs": 4},  # as many as the schedules that are interrupted
}

# Other settings of a method, by a name of their own, where they make another method of it.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openhybrid_residual": (
        "openhybrid",
        {"flow": "residual", "flow_blocks": 2, "flow_hidden": 16, "flow_lr": 0.01},  # for speed
    ),
}


class Blobs(Reader):
    """40 noisy training and 20 typical test images of each class, 16 x 16, grey."""

    name = "blobs"
    title = "Blobs"
    licence = "none"
    how_to_get = "It is made here."
    classes = ("upper left", "upper right", "lower left", "lower right", "empty")
    channels = 1
    image_size = 16
    mirrored = False

    def files(self, root: Path | None, subset: Subset) -> Sequence[Path]:
        return ()

    def content(self, root: Path | None, subset: Subset) -> str:
        return f"blobs-{subset}"

    def load(self, root: Path | None, subset: Subset) -> ImageSet:
        num, noise, seed = (40, 0.05, 0) if subset == "train" else (20, 0.01, 1)
        generator = torch.Generator().manual_seed(seed)
        row, column = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
        images = []
        for corner in (*CORNERS, None):
            blob = torch.zeros(16, 16)
            if corner is not None:
                squares = (row - corner[0]) ** 2 + (column - corner[1]) ** 2
                blob = torch.exp(-squares / 8)
            noisy = blob + noise * torch.randn(num, 1, 16, 16, generator=generator)
            images.append(noisy.clamp(0, 1).mul(255).round().to(torch.uint8))
        return ImageSet(torch.cat(images), torch.arange(5).repeat_interleave(num))


class Memory:
    """A checkpoint that is kept in memory and saved after every epoch."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def load(self) -> bytes | None:
        return self.content

    def due(self) -> bool:
        return True

    def save(self, content: bytes) -> None:
        self.content = content

    def between_batches(self) -> None: ...


def trial(
    name: str, training: Training = TRAINING, settings: Mapping[str, Any] | None = None
) -> Trial:
    """A trial of a method or variant on the blobs with a network of a few thousand weights."""
    method, own = VARIANTS.get(name, (name, SETTINGS.get(name, {})))
    config = build(METHODS[method].Config, own if settings is None else settings)
    network = {"name": "osrci", "width": 0.1, "dropout": 0.1}
    return Trial(
        method=METHODS[method],
        config=config,
        split=ClassSplit(
            benchmark="blobs",
            protocol="own",
            index=0,
            known_from="blobs",
            known=(0, 1, 2),
            unknown_from="blobs",
            unknown=(3, 4),
        ),
        fingerprints=fingerprints(None, Benchmark("blobs", Blobs(), Blobs())),
        backbone=resolve_backbone(network, image_size=16, channels=1),
        training=training,
        seed=0,
    )


def context(
    inputs: Mapping[str, Mapping[str, bytes]],
    checkpoint: Memory | None = None,
    report: Report = lambda epoch, row: None,
) -> Context:
    """What a stage may touch, on the CPU."""
    return Context(
        inputs=inputs,
        data_root=None,
        device=torch.device("cpu"),
        checkpoint=checkpoint or Memory(),
        report=report,
    )


class Runs:
    """Runs stages once each, inputs first, and remembers what they left."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}

    def inputs(self, stage: Stage) -> dict[str, Mapping[str, bytes]]:
        return {role: self.result(upstream).artifacts for role, upstream in stage.inputs.items()}

    def result(self, stage: Stage) -> Result:
        if stage.id not in self.results:
            inputs = context(self.inputs(stage))
            self.results[stage.id] = run_stage(stage.kind.name, stage.config, inputs)
        return self.results[stage.id]

    def last_fit(self, of: Trial) -> Stage:
        """The fit that scores: the trial's own, or the classifier that it stands on."""
        return [stage for stage in of.score.walk() if stage.kind.name == "fit"][-1]

    def prepared(self, of: Trial) -> tuple[ImageMethod, Batches]:
        """The trial's method as it is before epoch 0, and its training images."""
        stage = self.last_fit(of)
        where = context(self.inputs(stage))
        train = Batches(where.train(stage.config), batch_size=16)
        settings = {"name": of.method.name, "version": of.method.version, **as_dict(of.config)}
        torch.manual_seed(0)
        method = untrained(where, {**stage.config, "method": settings}, NUM_KNOWN)
        method.backbone.normalize.fit(train.images)
        method.prepare(train, {role: where.tensors(role) for role in where.inputs})
        return method, train


def shortened(training: Training, **changes: Any) -> Training:
    """A schedule with some of its settings changed."""
    return dataclasses.replace(training, **changes)
