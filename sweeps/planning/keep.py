"""Which weights of a fit are kept: a schedule may ask for those of the best epoch."""

from osr_core.errors import ConfigError, unknown_name
from osr_core.methods import METHODS
from osr_core.stage import Stage


def check_keep(stage: Stage) -> None:
    """Refuse a schedule whose `keep` asks for what is not measured.

    Raises:
        ConfigError: no such term, or no held-out images to measure it on.
    """
    training = stage.config.get("training", {"keep": "last"})
    if training["keep"] == "last":
        return
    name = stage.config["method"]["name"]
    allowed = ("last", "accuracy", *METHODS[name].terms)
    if training["keep"] not in allowed:
        raise ConfigError(f"{name}: " + unknown_name("keep", training["keep"], allowed))
    if training["validation"] == 0:
        raise ConfigError(
            f"{name}: keep '{training['keep']}' is measured on held-out images, and validation "
            "is 0. Give training.validation a fraction such as 0.1, or keep the last weights."
        )
