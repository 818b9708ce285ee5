"""The stage between PMAL's classifiers and its fit: prototypes mined from the training images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from osr_core.config import build
from osr_core.context import Context, Result
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.pmal.mining import candidates, prototypes_of_class
from osr_core.methods.pmal.topology import centred, log_robustness
from osr_core.methods.softmax import Softmax
from osr_core.scoring import score_images
from osr_core.tensors import to_bytes

PROTOTYPES = "prototypes.safetensors"


def mine(context: Context, config: Mapping[str, Any]) -> Result:
    """Choose each class's prototypes among all known training images.

    Leaves the prototypes' images (K, T, C, H, W) uint8, so that a fit that holds images out needs
    no positions; their positions among the known training images, `index` (K, T) int64; and
    `robustness` and `error` (N,) of all of these.
    """
    settings = {key: v for key, v in config["method"].items() if key not in ("name", "version")}
    options = build(PMAL.Config, settings)
    train = context.train(config)
    members = embed(context, config, train, options.members)
    log_r, error = log_robustness(members, options.robustness)
    chosen, num_good = [], 0
    for k in range(len(config["task"]["known"])):
        positions = (train.labels == k).nonzero()[:, 0]
        of_class = positions.to(context.device)
        num_good += len(candidates(log_r[of_class], options.epsilon, 0))
        picked = prototypes_of_class(
            members[0][of_class],
            log_r[of_class],
            epsilon=options.epsilon,
            count=options.prototypes,
            quality=options.quality,
            diversity=options.diversity,
        )
        chosen.append(positions[picked.cpu()])
    index = torch.stack(chosen)
    tensors = {
        "images": train.images[index],
        "index": index,
        "robustness": log_r.exp(),
        "error": error,
    }
    metrics = {"mine/candidate_fraction": num_good / len(train)}
    return Result({PROTOTYPES: to_bytes(tensors)}, metrics)


def embed(
    context: Context, config: Mapping[str, Any], train: ImageSet, num_members: int
) -> list[Tensor]:
    """Class-centred logits (N, K) of un-augmented images by each of the ensemble's classifiers."""
    batches = Batches(train, batch_size=512, device=context.device)
    classifier = {**config, "method": {"name": Softmax.name, "version": Softmax.version}}
    embedded = []
    for number in range(num_members):
        member = context.method(classifier, len(config["task"]["known"]))
        member.load_state_dict(context.weights(f"member{number}"))
        embedded.append(centred(score_images(member, batches).logits).to(context.device))
    return embedded
