"""A method's settings in a spec, expanded into grid points and checked.

A list in a setting is a grid; a list of mappings is one after the other.
"""

import dataclasses
import itertools
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from osr_core.backbones import resolve_backbone
from osr_core.config import as_dict, build
from osr_core.errors import ConfigError
from osr_core.methods import METHODS, method_named
from osr_core.recipes import Training

OVERRIDES = ("training", "backbone", "protocol")  # settings of an entry that no method has


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """One grid point of one method."""

    hyperparameters: Mapping[str, Any]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    backbone: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocol: str = ""  # "" is the spec's


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


def expand_methods(values: Any) -> Any:
    """Expand every method's grid; all problems of all methods at once."""
    if not isinstance(values, Mapping):
        return values
    problems: list[str] = []
    expanded: dict[str, list[MethodSettings]] = {}
    for name, entries in values.items():
        try:
            method_named(name)
        except ConfigError as error:
            problems += error.problems
            continue
        try:
            expanded[name] = list(expand(name, entries))
        except ConfigError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return expanded


def expand(name: str, entries: Any) -> Iterator[MethodSettings]:
    """All grid points of a method's entry: a mapping, a list of mappings, or nothing.

    Raises:
        ConfigError: an empty grid, unknown keys, wrong types, values out of range; all at once.
    """
    if isinstance(entries, list) and not entries:
        raise ConfigError("the list of settings is empty; write {} for the defaults")
    problems: list[str] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not (entry is None or isinstance(entry, Mapping)):
            raise ConfigError(f"settings must be a mapping, not {entry!r}; write {{}} for defaults")
        for point in grid(entry or {}, METHODS[name].Config):
            try:
                yield method_settings(name, point)
            except ConfigError as error:
                problems += [p for p in error.problems if p not in problems]
    if problems:
        raise ConfigError(problems)


def grid(values: Mapping[str, Any], config: type[Any]) -> Iterator[dict[str, Any]]:
    """The product of all lists in `values`, nested mappings included.

    A setting that is a list by its nature (such as `drops`) stands for itself.
    """
    axes: list[list[Any]] = []
    for key, value in values.items():
        hint = typing.get_type_hints(config).get(key)
        if isinstance(value, Mapping):
            nested = Training if key == "training" else hint
            inner: Any = nested if dataclasses.is_dataclass(nested) else object
            axes.append(list(grid(value, inner)))
        elif isinstance(value, list) and typing.get_origin(hint) is not tuple:
            if not value:
                raise ConfigError(f"{key}: the grid is empty; give at least one value")
            axes.append(value)
        else:
            axes.append([value])
    for point in itertools.product(*axes):
        yield dict(zip(values, point, strict=True))


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
