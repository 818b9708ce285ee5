"""Settings: frozen dataclasses whose fields state their meaning and their allowed range.

A field is declared by `setting(default, "meaning", at_least=..., ...)`; a config class calls
`check(self)` in `__post_init__`, and `build` makes one from a plain mapping such as a YAML file's.
All problems of a mapping are reported at once.
"""

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from osr_core.errors import ConfigError, did_you_mean, nearest, unknown_name

C = TypeVar("C")
LARGEST = 2**31 - 1  # whole number; exports keep epochs, members and their like in 32 bits
SCALARS = (str, int, float, type(None))
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "above": (lambda value, bound: value > bound, ">"),
    "below": (lambda value, bound: value < bound, "<"),
    "at_least": (lambda value, bound: value >= bound, ">="),
    "at_most": (lambda value, bound: value <= bound, "<="),
}


def setting(
    default: Any,
    meaning: str,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    choices: tuple[Any, ...] | None = None,
    read_by: str = "fit",
    if_few: str | None = None,
) -> Any:
    """A dataclass field with its meaning (and the default's source), range and reader.

    `read_by` names the stage that reads the field; a change reaches that stage and those after it.
    `if_few`, of a number of training images of a class: what becomes of it where a class has fewer.
    """
    bounds = {"above": above, "below": below, "at_least": at_least, "at_most": at_most}
    metadata = {"meaning": meaning, "choices": choices, "read_by": read_by, "if_few": if_few}
    return dataclasses.field(default=default, metadata=metadata | bounds)


def check(config: Any) -> None:
    """Raise ConfigError with every field of `config` that is outside its range."""
    problems = [
        problem
        for field in dataclasses.fields(config)
        if (problem := _range_problem(field, getattr(config, field.name)))
    ]
    if problems:
        raise ConfigError(problems)


def build(cls: type[C], values: Mapping[str, Any]) -> C:
    """`cls(**values)`, with ints widened to floats and nested mappings built in turn.

    Raises:
        ConfigError: unknown keys (with the nearest right one), wrong types, values out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    problems, kept = [], {}
    for key, value in values.items():
        if key not in fields:
            problems.append(unknown_name("key", key, fields))
            continue
        try:
            kept[key] = _convert(key, hints[key], value)
        except ConfigError as error:
            problems += error.problems
            continue
        if problem := _range_problem(fields[key], kept[key]):
            problems.append(problem)
    if problems:
        raise ConfigError(problems)
    return cls(**kept)


def as_dict(config: Any, *readers: str) -> dict[str, Any]:
    """The fields of `config` as plain JSON values; with `readers`, only those that one reads."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if not readers or field.metadata.get("read_by", "fit") in readers
    }


def _plain(value: Any) -> Any:
    if isinstance(value, SCALARS):
        return value  # first: a plan of 100,000 stages asks millions of times
    if dataclasses.is_dataclass(value):
        return as_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _range_problem(field: dataclasses.Field[Any], value: Any) -> str | None:
    if value is None:
        return None
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        names = list(map(str, choices))
        hint = did_you_mean(nearest(value, names))
        return f"{field.name} must be one of {', '.join(names)}, not {value!r}.{hint}"
    items = value if isinstance(value, tuple) else (value,)
    for bound, (holds, sign) in BOUNDS.items():
        limit = field.metadata.get(bound)
        if limit is not None and not all(holds(item, limit) for item in items):
            return f"{field.name} must be {sign} {limit}, not {value!r}."
    return None


def _convert(key: str, hint: Any, value: Any) -> Any:
    """`value` as type `hint`, or ConfigError naming the key."""
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key} must be a mapping, not {value!r}.")
        try:
            return build(typing.cast(type[Any], hint), value)
        except ConfigError as error:
            raise ConfigError([f"{key}: {problem}" for problem in error.problems]) from None
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{key} must be a list, not {value!r}.")
        return tuple(_convert(key, typing.get_args(hint)[0], item) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < sys.float_info.max else math.inf
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} must be a finite number, not {value!r}.")
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{key} must be of type {hint.__name__}, not {value!r}.")
    if hint is int and abs(value) > LARGEST:
        raise ConfigError(f"{key} must be a whole number up to {LARGEST}, not {value!r}.")
    return value
