"""The space of a search: which settings of a method it varies, and within what bounds.

anchor_weight: {low: 0.01, high: 1.0, log: true}   a range; whole numbers where the setting is
neighbours: {low: 5, high: 50, step: 5}            every fifth
rejection: [distance, probability]                 a choice
training.lr: {low: 0.01, high: 0.4, log: true}     a setting of the training or of the network
tail: {low: 10, high: 40, when: {rule: paper}}     only where another setting has that value
"""

import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from osr_core.backbones import BACKBONES
from osr_core.errors import ConfigError, unknown_name
from osr_core.identity import dotted
from osr_core.methods import METHODS
from osr_core.recipes import Training
from sweeps.planning.entry import OVERRIDES, method_settings

KEYS = ("low", "high", "log", "step", "when")
LAYERS = ("training", "backbone")


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting that a search varies: a range, or a choice."""

    name: str  # "anchor_weight", "training.lr", "backbone.width"
    choices: tuple[Any, ...] = ()  # empty: a range
    low: float = 0.0  # whole numbers stay whole
    high: float = 0.0
    log: bool = False
    step: float | None = None
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()  # other settings and what they must be

    def is_active(self, settings: Mapping[str, Any]) -> bool:
        """Whether the setting counts beside these others."""
        return all(settings.get(name) in values for name, values in self.when)

    def contains(self, value: Any) -> bool:
        """Whether a value lies in the range, steps aside, or is a choice."""
        if self.choices:
            return value in self.choices
        is_fit = isinstance(value, int) or not self.is_whole
        return _is_number(value) and is_fit and bool(self.low <= value <= self.high)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Both ends of a range; every value of a choice."""
        return self.choices or (self.low, self.high)

    @property
    def is_whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return not self.choices and isinstance(self.low, int)

    def plain(self) -> Any:
        """As a spec has it."""
        when = {name: list(values) for name, values in self.when}
        condition = {"when": when} if when else {}
        if self.choices:
            return {"choices": list(self.choices), **condition} if when else list(self.choices)
        bounds = {"low": self.low, "high": self.high}
        bounds |= {"log": True} if self.log else {}
        return bounds | ({} if self.step is None else {"step": self.step}) | condition


def laid_over(fixed: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A method's entry with settings by their dotted names laid over it."""
    entry = dict(fixed)
    for name, value in settings.items():
        layer, _, inner = name.rpartition(".")
        if layer:
            entry[layer] = {**entry.get(layer, {}), inner: value}
        else:
            entry[name] = value
    return entry


def read_space(method: str, values: Any, fixed: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a space, each checked against the settings that the method has.

    Raises:
        ConfigError: every unknown setting, empty range or choice, value out of a setting's range.
    """
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(
            "space must be a mapping of settings to ranges or lists, such as "
            f"{{lr: {{low: 0.01, high: 0.1}}}}, not {values!r}."
        )
    problems: dict[str, list[str]] = {}
    space: dict[str, Dimension] = {}
    settings = {**fixed, **dict(dotted(fixed))}
    for name, given in values.items():
        try:
            dimension = _dimension(method, str(name), given)
            if name in settings:
                raise ConfigError(
                    f"is set to {settings[name]!r} beside `search` as well; keep one of the two."
                )
            _check_when(dimension, space, fixed)
            space[dimension.name] = dimension
        except ConfigError as error:
            problems[str(name)] = error.problems
    for dimension in space.values():
        if found := _value_problems(method, dimension, tuple(space.values()), fixed):
            problems[dimension.name] = found
    if problems:
        ordered = (name for name in map(str, values) if name in problems)
        raise ConfigError([f"space.{name}: {each}" for name in ordered for each in problems[name]])
    return tuple(space.values())


def _dimension(method: str, name: str, given: Any) -> Dimension:
    hint = _hint(method, name)
    if isinstance(given, list):
        given = {"choices": given}
    if not isinstance(given, Mapping):
        raise ConfigError(f"must be a list or a mapping with low and high, not {given!r}.")
    when = _when(given.get("when", {}))
    if "choices" in given:
        if unknown := set(given) - {"choices", "when"}:
            raise ConfigError(f"a choice has no {', '.join(sorted(map(str, unknown)))}.")
        if not isinstance(given["choices"], list) or not given["choices"]:
            raise ConfigError("the choice is empty; give at least one value.")
        if twice := [each for each in given["choices"] if given["choices"].count(each) > 1]:
            raise ConfigError(f"the choice has {twice[0]!r} more than once.")
        return Dimension(name=name, choices=tuple(given["choices"]), when=when)
    if strange := [key for key in given if key not in KEYS]:
        raise ConfigError([unknown_name("key", key, KEYS) for key in strange])
    if hint not in (int, float):
        raise ConfigError("is no number; give a list of values to choose from.")
    return Dimension(name=name, when=when, **_bounds(given, hint))


def _hint(method: str, name: str) -> Any:
    """The type of a setting by its dotted name; a number that may be missing counts as one."""
    layer, _, inner = name.rpartition(".")
    if layer and layer not in LAYERS:
        raise ConfigError(unknown_name("layer", layer, LAYERS))
    configs: list[Any] = [METHODS[method].Config]
    if layer:
        configs = (
            [each.Config for each in BACKBONES.values()] if layer == "backbone" else [Training]
        )
    hints: dict[str, Any] = {}
    for config in configs:
        hints = {**typing.get_type_hints(config), **hints}
    if inner not in hints or inner in OVERRIDES:
        raise ConfigError(unknown_name("setting", name, {*hints, "training.lr", "backbone.width"}))
    hint = hints[inner]
    if isinstance(hint, types.UnionType):
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    return hint


def _bounds(given: Mapping[str, Any], hint: type) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for key in ("low", "high", *(["step"] if "step" in given else [])):
        value: Any = given.get(key)
        if not _is_number(value) or (hint is int and value != int(value)):
            kind = "a whole number" if hint is int else "a finite number"
            raise ConfigError(f"{key} must be {kind}, not {value!r}.")
        numbers[key] = hint(value)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"log must be true or false, not {log!r}.")
    if numbers["low"] >= numbers["high"]:
        raise ConfigError(f"low must be < high, not {numbers['low']!r} and {numbers['high']!r}.")
    if log and numbers["low"] <= 0:
        raise ConfigError(f"low must be > 0 on a log scale, not {numbers['low']!r}.")
    if "step" in numbers and (log or numbers["step"] <= 0):
        raise ConfigError(f"step must be > 0 and without log, not {numbers['step']!r}.")
    if "step" in numbers and not _fits(**numbers):
        raise ConfigError(
            f"step must divide high - low, from {numbers['low']!r} to {numbers['high']!r}, which "
            f"{numbers['step']!r} does not."
        )
    return {**numbers, "log": log}


def _fits(low: float, high: float, step: float) -> bool:
    """Whether steps from one end meet the other, counted in decimals as they are written."""
    return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _when(given: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"when must be a mapping such as {{rule: paper}}, not {given!r}.")
    return tuple(
        (str(name), tuple(value) if isinstance(value, list) else (value,))
        for name, value in given.items()
    )


def _check_when(
    dimension: Dimension, before: Mapping[str, Dimension], fixed: Mapping[str, Any]
) -> None:
    """A condition names a choice that stands before it in the space, or a fixed setting."""
    for name, values in dimension.when:
        if name in before and before[name].choices:
            if missing := [value for value in values if value not in before[name].choices]:
                raise ConfigError(
                    f"when {name} is {missing[0]!r}, which is none of its choices: "
                    f"{', '.join(map(str, before[name].choices))}."
                )
        elif name in fixed and fixed[name] not in values:
            wanted = values[0] if len(values) == 1 else [*values]
            raise ConfigError(
                f"the condition `{name}: {wanted}` never holds, because {name} is fixed at "
                f"{fixed[name]!r}."
            )
        elif name not in fixed:
            raise ConfigError(
                f"when names '{name}', which is neither a choice that stands before it in the "
                "space nor a fixed setting."
            )


def _value_problems(
    method: str, dimension: Dimension, space: tuple[Dimension, ...], fixed: Mapping[str, Any]
) -> list[str]:
    """What keeps an end of a range or a choice from being tried: beside the defaults, and beside
    each value of each other setting of the space.
    """
    others = [{d.name: value} for d in space if d is not dimension for value in d.extremes]
    found: list[str] = []
    for own in ({dimension.name: value} for value in dimension.extremes):
        alone = list(_problems(method, laid_over(fixed, own)))
        beside = (laid_over(fixed, {**own, **other}) for other in others)
        if alone and not any(not [*_problems(method, entry)] for entry in beside):
            found += alone
    return list(dict.fromkeys(found))


def _problems(method: str, entry: Mapping[str, Any]) -> Iterator[str]:
    try:
        method_settings(method, entry)
    except ConfigError as error:
        yield from error.problems
