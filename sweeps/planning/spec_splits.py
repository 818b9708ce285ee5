"""Where a spec's splits come from: a published protocol, or a file of one's own beside the spec."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from osr_core.data import BENCHMARKS
from osr_core.data.split_files import Names, beforehand
from osr_core.data.splits import ClassSplit, class_split
from osr_core.errors import ConfigError
from sweeps.home import expanded

Splits = Callable[[str, str, int, Names], ClassSplit]
"""A dataset, a protocol, the number of a split, what classes are called -> its classes."""


def splits_beside(path: Path) -> Splits:
    """Splits as the spec at `path` names them: a file of one's own is looked for from there."""

    def split(dataset: str, protocol: str, index: int, names: Names) -> ClassSplit:
        if not protocol.endswith(".json"):
            return class_split(dataset, protocol, index)
        file = path.absolute().parent / expanded(Path(protocol))
        return replace(class_split(dataset, str(file), index, names), protocol=protocol)

    return split


def split_problems(values: Mapping[str, Any], protocol: Any, splits_of: Splits) -> list[str]:
    """Splits that a protocol does not have, for those datasets that exist."""
    datasets, splits = values.get("datasets", []), values.get("splits", [])
    if not (isinstance(protocol, str) and isinstance(datasets, list) and isinstance(splits, list)):
        return []
    problems: list[str] = []
    for dataset in datasets:
        for index in splits:
            if not isinstance(dataset, str) or dataset not in BENCHMARKS:
                continue
            if type(index) is not int or index < 0:
                continue
            try:
                splits_of(dataset, protocol, index, beforehand)
            except ConfigError as error:
                problems += [p for p in error.problems if p not in problems]
    return problems
