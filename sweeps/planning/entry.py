"""One entry of a method in a spec, without lists: its settings, checked."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from osr_core.backbones import resolve_backbone
from osr_core.config import as_dict, build
from osr_core.errors import ConfigError
from osr_core.methods import METHODS
from osr_core.recipes import Training

SEARCH = "search"
OVERRIDES = ("training", "backbone", "protocol")  # settings of an entry that no method has


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """One grid point of one method."""

    hyperparameters: Mapping[str, Any]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    backbone: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocol: str = ""  # "" is the spec's

    def plain(self) -> dict[str, Any]:
        """As a spec has it, every setting written out."""
        values = {**self.hyperparameters, "training": self.training, "backbone": self.backbone}
        return values | ({"protocol": self.protocol} if self.protocol else {})


def check_training(values: Any) -> Any:
    """`values` if they are changes to a schedule; ConfigError otherwise."""
    build(Training, _mapping(values))
    return values


def check_backbone(values: Any) -> Any:
    """`values` if they are changes to a network; ConfigError otherwise."""
    resolve_backbone(_mapping(values), image_size=32, channels=3)
    return values


def _mapping(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"must be a mapping, not {values!r}.")
    return values


def method_settings(name: str, point: Mapping[str, Any]) -> MethodSettings:
    """Check one grid point but for its protocol's splits; problems carry their place."""
    problems: list[str] = []
    for key, checked in (("training", check_training), ("backbone", check_backbone)):
        try:
            checked(point.get(key, {}))
        except ConfigError as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
    if not isinstance(protocol := point.get("protocol", ""), str):
        problems.append(f"protocol must be a name, not {protocol!r}.")
    own = {key: value for key, value in point.items() if key not in OVERRIDES}
    try:
        resolved = as_dict(build(METHODS[name].Config, own))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return MethodSettings(
        hyperparameters=resolved,
        training=point.get("training", {}),
        backbone=point.get("backbone", {}),
        protocol=protocol,
    )
