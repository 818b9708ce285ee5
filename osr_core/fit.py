"""The training of a fit: what each of its processes does, or one that is alone."""

from collections.abc import Mapping
from typing import Any

import torch

from osr_core.config import build
from osr_core.context import STATE, Context
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.data.tasks import holdout
from osr_core.data_parallel import DataParallel
from osr_core.generators import seeded
from osr_core.identity import seed_for
from osr_core.kinds import epochs_of
from osr_core.legs import BEGUN
from osr_core.methods import ImageMethod, Learner, learner_named
from osr_core.recipes import Training
from osr_core.training import Fit


def trained(context: Context, config: Mapping[str, Any], own: DataParallel) -> Fit:
    """Train to the end of the schedule, or of a leg; `own` is this process among the fit's."""
    training = build(Training, config["training"])
    seed = seed_for("fit", *drawn_for(config), *filter(None, [config.get("role")]))
    images, held_out = learnt_from(context.train(config), config)
    validation = None
    if held_out is not None:
        validation = Batches(held_out, batch_size=training.batch_size, device=context.device)
    train = Batches(
        images,
        batch_size=training.batch_size,
        device=context.device,
        augmentation=training.augmentation,
        processes=own,
    )
    with seeded(seed, "weights", device=context.device):
        learner = learner_named(config["method"]["name"])
        method = learner.fresh(config, len(config["task"]["known"]), context.device)
    method.backbone.normalize.fit(train.images)
    upstream = [role for role in context.inputs if role != BEGUN]
    method.prepare(train, {role: context.tensors(role) for role in upstream})
    begun = context.inputs[BEGUN][STATE] if BEGUN in context.inputs else None
    until = epochs_of(config).stop
    loop = Fit(method, train, validation, training, seed, until, own)
    try_out(method, train)
    loop.run(context.checkpoint, context.report, begun)
    return loop


@torch.no_grad()
def try_out(method: Learner, train: Batches) -> None:
    """Let a method score two images before it is trained for hours.

    One that needs what `calibrate` finds is asked when it has that.

    Raises:
        TrainingError: what it says is no prediction.
    """
    if isinstance(method, ImageMethod) and not method.fits_after_training():
        method.eval()
        method.check_prediction(method(train.take(torch.arange(2))), 2)


def drawn_for(config: Mapping[str, Any]) -> list[Any]:
    """What the random numbers of a fit depend on, whatever its method."""
    task = config["task"]
    return [task["dataset"], task["known"], task["split"], config["seed"], config["member"]]


def learnt_from(images: ImageSet, config: Mapping[str, Any]) -> tuple[ImageSet, ImageSet | None]:
    """Of the known training images those that a fit learns from, and those that it holds out."""
    fraction = config["training"]["validation"]
    if not fraction > 0:
        return images, None
    return holdout(images, fraction, seed_for("holdout", *drawn_for(config)))
