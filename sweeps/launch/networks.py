"""The network of a finished trial, out of the store: for a detector, or for others in a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from osr_core.context import WEIGHTS
from osr_core.data import reader
from osr_core.errors import ConfigError, MissingDataError, unknown_name
from osr_core.tensors import from_bytes, to_bytes
from sweeps.home import Home
from sweeps.launch.data_folder import data_folder
from sweeps.planning.plan import EVALUATE, Plan, PlannedTrial
from sweeps.planning.record import plan_of
from sweeps.store.store import Store


def network_of(trial: str, sweep: str, home: Home) -> tuple[PlannedTrial, dict[str, torch.Tensor]]:
    """A trial and the weights that it scores with.

    Raises:
        ConfigError: no such sweep or trial, more than one, or one without a network here.
    """
    store = Store.existing(home.store)
    record = None if store is None else store.sweep(sweep)
    if store is None or record is None:
        raise ConfigError(unknown_name("sweep", sweep, store.sweeps() if store else ()))
    meant = trial_meant(trial, plan_of(record))
    if "model" not in meant.score.inputs:
        raise ConfigError(f"of {meant.label} only scores were imported; there is no network.")
    model = meant.score.inputs["model"]
    if not store.committed([model.id]):
        raise ConfigError(f"{meant.label} is not trained yet. Run the sweep: osr run {sweep}")
    return meant, from_bytes(store.read(model.id, WEIGHTS))[0]


def weights_of(trial: str, sweep: str, home: Home, data_root: str | None) -> bytes:
    """A trained network in a file of safetensors; its header says what one needs to use it.

    The header is JSON under the metadata key "header": "method" and "backbone" (all settings),
    "classes" (names, in the order of the logits), "normalization" ("mean" and "std" of images in
    [0, 1], by channel), "trial", "sweep", and of an imported network "imported".

    Raises:
        ConfigError: as for `network_of`.
    """
    meant, weights = network_of(trial, sweep, home)
    config = meant.score.config
    root = data_folder(data_root, [reader(config["test"]["known_from"])])
    normalization = {key: weights[f"backbone.normalize.{key}"].tolist() for key in ("mean", "std")}
    header = {
        "sweep": sweep,
        "trial": meant.label,
        "trial_id": meant.id,
        "method": config["method"],
        "backbone": config["backbone"],
        "classes": list(class_names(config["test"], root)),
        "normalization": normalization,
        "imported": meant.imported and meant.imported.plain(),
    }
    return to_bytes(weights, header)


def trial_meant(words: str, plan: Plan) -> PlannedTrial:
    """The only trial of a table that is called so.

    Raises:
        ConfigError: there is none, or more than one; says how they are called.
    """
    sweep, trials = plan.spec.name, [each for each in plan.trials if each.purpose == EVALUATE]
    meant = [each for each in trials if f"{each.label} ".startswith(f"{words} ")]
    meant = meant or [each for each in trials if len(words) > 3 and each.id.startswith(words)]
    if not meant:
        labels = sorted({each.label for each in trials})
        raise ConfigError(f"in sweep '{sweep}' {unknown_name('trial', words, labels)}")
    if len(meant) > 1:
        names = ", ".join(
            f"{each.label}{plan.differing(each.score)} ({each.id[:8]})" for each in meant[:10]
        )
        raise ConfigError(
            f"'{words}' means {len(meant)} trials of sweep '{sweep}': {names}. Say which, by "
            "the beginning of its id."
        )
    return meant[0]


def class_names(test: Mapping[str, Any], root: Path | None) -> tuple[str, ...]:
    """What a test's known classes are called, in the order of the logits; else their numbers."""
    try:
        names = reader(test["known_from"]).class_names(root)
    except MissingDataError:
        names = ()
    return tuple(names[k] if names else str(k) for k in sorted(test["known"]))
