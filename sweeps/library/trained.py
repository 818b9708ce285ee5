"""A trained method, taken out of the store as a detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from osr_core.data import reader
from osr_core.data.base import UNKNOWN
from osr_core.data.imageset import pick
from osr_core.data.tasks import known_train, open_test
from osr_core.detector import Detector
from osr_core.fit import learnt_from
from osr_core.methods import method_named
from osr_core.stage import Stage
from sweeps.launch.data_folder import data_folder
from sweeps.launch.networks import class_names, network_of
from sweeps.library.launches import data_at
from sweeps.library.sweep import home_at

HELD_OUT, TESTED = "held-out training images", "known test images"


def load(
    trial: str,
    *,
    sweep: str,
    accept: float = 0.95,
    home: str | Path | None = None,
    data_root: str | Path | None = None,
    device: str = "cpu",
) -> Detector:
    """A trained method of a finished trial, which decides about images.

    Its threshold accepts a share of known images that the network has not learnt from: those that
    its fit held out, or, where it held out none, the known test images. `chosen_on` says which.

    Args:
        trial: "cac cifar10/3", "cac cifar10/3 seed 1", or the beginning of a trial's id.
        sweep: the sweep's name.
        accept: the share of known images that it accepts, in (0, 1].
        home: the folder of all results; default: OSR_HOME, or ./osr-home.
        data_root: the folder of the datasets' files, or a bucket's address; default: OSR_DATA.
        device: where it computes, "cpu" or "cuda".

    Raises:
        ConfigError: no such sweep or trial, more than one, or one that is not done.
        DataError: the data that the threshold is chosen on are not there, or have changed.
    """
    meant, weights = network_of(trial, sweep, home_at(home))
    test = meant.score.config["test"]
    readers = map(reader, (test["known_from"], test["unknown_from"]))
    root = data_folder(data_at(data_root), readers)
    detector = untrained(meant.score.config, root, torch.device(device))
    detector.method.load_trained(weights)
    images, what = images_to_accept(meant.score, root)
    return detector.accepting(accept, images, what)


def untrained(config: Mapping[str, Any], root: Path | None, device: torch.device) -> Detector:
    """The detector of a score stage's config, with fresh weights."""
    test, backbone = config["test"], config["backbone"]
    method = method_named(config["method"]["name"]).fresh(config, len(test["known"]), device)
    return Detector(
        method=method,
        class_names=class_names(test, root),
        image_size=backbone["image_size"],
        channels=backbone["channels"],
        device=device,
    )


def images_to_accept(score: Stage, root: Path | None) -> tuple[torch.Tensor, str]:
    """Known images that nothing of a trial has learnt from, and what they are.

    Stages other than fits read all training images, also those that fits hold out.
    """
    seen = {key: score.config["backbone"][key] for key in ("image_size", "channels")}
    model = score.inputs["model"]
    config = model.config
    if all(each.kind.trains for each in model.walk()) and config["training"]["validation"] > 0:
        _, held_out = learnt_from(known_train(root, config["task"], **seen), config)
        assert held_out is not None
        return held_out.images[:], HELD_OUT
    test = open_test(root, score.config["test"], **seen)
    known = (test.labels != UNKNOWN).nonzero()[:, 0]
    return pick(test.images, known)[:], TESTED
