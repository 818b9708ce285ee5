"""Which weights of a fit are kept: a schedule may ask for those of the best epoch."""

from collections.abc import Mapping
from typing import Any

from osr_core.errors import ConfigError, unknown_name
from osr_core.methods import learner_named
from osr_core.stage import Stage


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
