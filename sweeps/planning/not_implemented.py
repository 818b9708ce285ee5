"""What the papers' specs name and nothing here implements yet.

A spec may name these: they are left out of the plan, and `osr plan` and `osr run` say so. What has
been implemented, or comes from a plugin, is no longer missing, whether it still stands here or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from osr_core.data import BENCHMARKS
from osr_core.errors import ConfigError
from osr_core.methods import METHODS

PLANNED: dict[str, dict[str, str]] = {
    "datasets": {},
    "methods": {},
}
IMPLEMENTED: dict[str, Mapping[str, Any]] = {"datasets": BENCHMARKS, "methods": METHODS}


@dataclass(frozen=True)
class Missing:
    """One name of a spec that the plan leaves out."""

    what: str  # "dataset" or "method"
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} {self.name} is not here yet: {self.why}"


def leave_out(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Missing, ...]]:
    """A spec's plain values without what is only planned, and what that was.

    Raises:
        ConfigError: no dataset or no method would be left.
    """
    kept, missing, problems = dict(values), [], []
    for key, planned in PLANNED.items():
        named = values.get(key)
        if not isinstance(named, list | Mapping):
            continue
        gone = [
            Missing(key.removesuffix("s"), name, planned[name])
            for name in named
            if isinstance(name, str) and name in planned and name not in IMPLEMENTED[key]
        ]
        names = {each.name for each in gone}
        if names and len(names) == len(named):
            problems += [f"{key}: nothing is left to run; {each}." for each in gone]
        elif isinstance(named, list):
            kept[key] = [name for name in named if not isinstance(name, str) or name not in names]
        else:
            kept[key] = {name: entry for name, entry in named.items() if name not in names}
        missing += gone
    if problems:
        raise ConfigError(problems)
    return kept, tuple(missing)
