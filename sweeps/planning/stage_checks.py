"""What a fit cannot do is found before anything runs: weights to keep, GPUs to be spread over."""

from collections.abc import Mapping
from typing import Any

from osr_core.errors import ConfigError, unknown_name
from osr_core.methods import learner_named
from osr_core.stage import Stage
from sweeps.planning.resources import Resources


def check_stage(stage: Stage, resources: Resources) -> None:
    """Refuse a stage that cannot run as it is planned.

    Raises:
        ConfigError: see below.
    """
    check_keep(stage)
    check_divisible(stage, resources)


def check_divisible(stage: Stage, resources: Resources) -> None:
    """Refuse several GPUs for a fit whose batches cannot be divided.

    Raises:
        ConfigError: a batch is more than its images to this method, or its steps draw numbers.
    """
    gpus = resources.gpus_of(stage) or 0.0
    if not stage.kind.trains or gpus <= 1:
        return
    name = stage.config["method"]["name"]
    if not learner_named(name).divisible:
        raise ConfigError(
            f"resources give a fit of '{name}' {gpus:g} GPUs, and it can use one: its batches "
            f"cannot be divided. Write resources: {{methods: {{{name}: {{gpus: 1}}}}}}."
        )


def check_keep(stage: Stage) -> None:
    """`check_kept` of a stage that trains."""
    if "training" in stage.config:
        check_kept(stage.config["method"]["name"], stage.config["training"])


def check_kept(method: str, training: Mapping[str, Any]) -> None:
    """Refuse a schedule whose `keep` asks for what is not measured.

    Raises:
        ConfigError: no such term, or no held-out images to measure it on.
    """
    if training["keep"] == "last":
        return
    allowed = ("last", "accuracy", *learner_named(method).terms)
    if training["keep"] not in allowed:
        raise ConfigError(f"{method}: " + unknown_name("keep", training["keep"], allowed))
    if training["validation"] == 0:
        raise ConfigError(
            f"{method}: keep '{training['keep']}' is measured on held-out images, and validation "
            "is 0. Give training.validation a fraction such as 0.1, or keep the last weights."
        )
