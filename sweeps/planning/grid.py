"""A method's settings in a spec, expanded into grid points and searches, and checked.

A list in a setting is a grid; a list of mappings is one after the other. An entry with a `search`
block is a search at each of its grid points.
"""

import dataclasses
import itertools
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from osr_core.errors import ConfigError
from osr_core.methods import METHODS, method_named
from osr_core.recipes import Training
from sweeps.planning.entry import SEARCH, MethodSettings, method_settings
from sweeps.planning.search_block import Search, read_search

Entry = MethodSettings | Search


def expand_methods(values: Any) -> Any:
    """Expand every method's grid; all problems of all methods at once."""
    if not isinstance(values, Mapping):
        return values
    problems: list[str] = []
    expanded: dict[str, list[Entry]] = {}
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


def expand(name: str, entries: Any) -> Iterator[Entry]:
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
        given = dict(entry or {})
        is_search = SEARCH in given
        block = given.pop(SEARCH, None)
        for point in grid(given, METHODS[name].Config):
            try:
                settings = method_settings(name, point)
                yield read_search(name, block, point) if is_search else settings
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
