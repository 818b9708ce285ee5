"""Class splits: which classes of a benchmark are known and which are unknown.

A protocol is a published family of splits (`cac`, `osrci`, `arpl`, `vaze`; `cac@original_2020` and
the like for another version of the same lists), `random`, or the path of a .json file of one's own
in the layout {"splits": {"mnist": [{"known": [0, 2], "unknown": [1]}, ...]}}. Such a file is how
one's own images (`folder:NAME`, `parquet:NAME`) get their splits.

    digits   takes MNIST's lists of the published protocols: the same ten classes.
    random   60 % of a dataset's classes are known (6 of 10, 60 of 100), drawn from the benchmark's
             name and the index alone; any index from 0. Not for CIFAR+N, whose known classes are
             part of its definition.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from osr_core.data import BENCHMARKS, Benchmark
from osr_core.data import benchmark as benchmark_named
from osr_core.data.own import is_own
from osr_core.errors import ConfigError, unknown_name
from osr_core.identity import seed_for

RANDOM = "random"
RANDOM_KNOWN = 0.6  # fraction of the classes
Lists = Mapping[str, Sequence[Mapping[str, Any]]]  # splits by benchmark


@dataclass(frozen=True)
class ClassSplit:
    """One choice of known and unknown classes; a known class's label is its position in `known`."""

    benchmark: str  # "cifar+10"
    protocol: str  # "cac", "cac@original_2020", "random" or the path of a file
    index: int
    known_from: str  # dataset, a key of READERS
    known: tuple[int, ...]  # its class numbers, ascending
    unknown_from: str
    unknown: tuple[int, ...]

    @property
    def id(self) -> str:
        """The split as tables call it: "cifar10/0"."""
        return f"{self.benchmark}/{self.index}"

    @property
    def num_known(self) -> int:
        """K."""
        return len(self.known)

    @property
    def openness(self) -> float:
        """1 - sqrt(2 * training classes / (test classes + target classes)), in [0, 1).

        Training and target classes are the known ones; test classes are known and unknown.

        Source: Scheirer et al., "Toward open set recognition", TPAMI 2013.
        """
        known, unknown = len(self.known), len(self.unknown)
        return 1 - math.sqrt(2 * known / ((known + unknown) + known))


@dataclass(frozen=True)
class Protocol:
    """A family of splits, as listed by `protocols`."""

    name: str
    source: str  # paper and repository
    notes: tuple[str, ...]  # known defects and what else a user should know
    counts: Mapping[str, int | None]  # splits by benchmark; None where any index will do


def protocols() -> dict[str, Protocol]:
    """Every protocol by name, published ones first; a file of one's own is not among them."""
    drawn = Protocol(
        RANDOM,
        "drawn here, by hashing the benchmark, the index and the class",
        (f"{RANDOM_KNOWN:.0%} of the classes are known.",),
        {name: None for name, pair in BENCHMARKS.items() if pair.known is pair.unknown},
    )
    listed = {
        name: Protocol(
            name,
            content["source"],
            tuple(content["notes"]),
            {key: len(splits) for key, splits in content["splits"].items() if key in BENCHMARKS},
        )
        for name, content in _published().items()
    }
    return {name: entry for name, entry in listed.items() if entry.counts} | {RANDOM: drawn}


def splits_of(benchmark: str, protocol: str) -> int | None:
    """How many splits of `benchmark` a protocol has; None: any index will do.

    Raises:
        ConfigError: no such benchmark or protocol, or the protocol has none of this benchmark.
    """
    pair = benchmark_named(benchmark)
    return None if protocol == RANDOM else len(_splits(pair, protocol))


def class_split(benchmark: str, protocol: str, index: int) -> ClassSplit:
    """Split number `index` of `benchmark` in `protocol`.

    Raises:
        ConfigError: no such benchmark, protocol or index, or a file of one's own with mistakes, all
            of them at once.
    """
    pair = benchmark_named(benchmark)
    if protocol == RANDOM:
        known, unknown = _draw(pair, index)
    else:
        splits = _splits(pair, protocol)
        if not 0 <= index < len(splits):
            raise ConfigError(
                f"split '{benchmark}/{index}' is not defined; protocol {protocol} has "
                f"0 to {len(splits) - 1} of {benchmark} ({_file_name(protocol)})."
            )
        known, unknown = splits[index]["known"], splits[index]["unknown"]
    return ClassSplit(
        benchmark=benchmark,
        protocol=protocol,
        index=index,
        known_from=pair.known.name,
        known=tuple(sorted(known)),
        unknown_from=pair.unknown.name,
        unknown=tuple(sorted(unknown)),
    )


def _draw(pair: Benchmark, index: int) -> tuple[list[int], list[int]]:
    """Classes in the order of a hash: no random generator, whose version could matter."""
    if pair.known is not pair.unknown:
        raise ConfigError(
            f"protocol {RANDOM} divides the classes of one dataset, but the unknown classes of "
            f"{pair.name} come from {pair.unknown.name}. Choose {_protocols_of(pair.name)}."
        )
    if not pair.known.classes:
        raise ConfigError(
            f"protocol {RANDOM} needs to know the classes beforehand, and those of {pair.name} are "
            "known once its files are read. Write a split file: "
            f'{{"splits": {{"{pair.name}": [{{"known": [0, 2], "unknown": [1]}}]}}}}.'
        )
    if index < 0:
        raise ConfigError(f"split '{pair.name}/{index}' is not defined; indices begin at 0.")
    classes = range(len(pair.known.classes))
    order = sorted(classes, key=lambda label: seed_for("random split", pair.name, index, label))
    num_known = round(RANDOM_KNOWN * len(order))
    return order[:num_known], order[num_known:]


def _splits(pair: Benchmark, protocol: str) -> Sequence[Mapping[str, Any]]:
    """The splits of one benchmark in a published protocol or a file."""
    if protocol.endswith(".json"):
        lists = _own(Path(protocol))
    elif protocol in _published():
        lists = _published()[protocol]["splits"]
    else:
        names = [*_published(), RANDOM]
        raise ConfigError(
            f"{unknown_name('protocol', protocol, names)} Or give the path of a .json file."
        )
    if not lists.get(pair.name):
        raise ConfigError(
            f"protocol {protocol} has no split of {pair.name}; it has splits of "
            f"{', '.join(sorted(lists)) or 'nothing'}. For {pair.name}, choose "
            f"{_protocols_of(pair.name)}."
        )
    return lists[pair.name]


def _protocols_of(benchmark: str) -> str:
    return ", ".join(name for name, entry in protocols().items() if benchmark in entry.counts)


def _file_name(protocol: str) -> str:
    return protocol if protocol.endswith(".json") else f"{protocol.split('@')[0]}.json"


@cache
def _published() -> dict[str, dict[str, Any]]:
    """Source, notes and splits of the packaged protocols, each variant as one of its own."""
    found: dict[str, dict[str, Any]] = {}
    folder = files("osr_core.data.protocols")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".json"):
            continue
        content = json.loads(file.read_text(encoding="utf-8"))
        for key, splits in content["splits"].items():
            benchmark, _, variant = key.partition("@")
            name = "@".join(filter(None, (file.name.removesuffix(".json"), variant)))
            entry = found.setdefault(name, {**content, "splits": {}})
            entry["splits"][benchmark.lower()] = splits
    for entry in found.values():
        if "mnist" in entry["splits"]:
            entry["splits"]["digits"] = entry["splits"]["mnist"]
    return found


def _own(path: Path) -> Lists:
    """The splits of a user's file, checked."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except OSError as error:
        raise ConfigError(f"protocol '{path}' cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"protocol '{path}' is not JSON: {error}.") from None
    lists = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(lists, dict) or not all(isinstance(item, list) for item in lists.values()):
        raise ConfigError(
            f"protocol '{path}' must have the layout "
            '{"splits": {"mnist": [{"known": [0, 2], "unknown": [1]}]}}.'
        )
    problems = []
    for name, splits in lists.items():
        if _key(name) not in BENCHMARKS:
            problems.append(f"{path}: {unknown_name('dataset', name, BENCHMARKS)}")
            continue
        pair = BENCHMARKS[_key(name)]
        for index, split in enumerate(splits):
            problems += [f"{path}: {name}/{index}: {text}" for text in split_problems(pair, split)]
    if len(set(map(_key, lists))) < len(lists):
        problems.append(f"{path}: a dataset is given twice: {', '.join(lists)}.")
    if problems:
        raise ConfigError(problems)
    return {_key(name): splits for name, splits in lists.items()}


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that is there twice, Python would keep the last."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the key '{twice[0]}' is given twice")
    return dict(pairs)


def _key(name: str) -> str:
    """A benchmark's name in a file of one's own: any case, but for the name of one's own images."""
    return name if is_own(name) else name.lower()


def split_problems(pair: Benchmark, split: Any) -> list[str]:
    """A sentence for everything that is wrong with {"known": [...], "unknown": [...]}."""
    if not isinstance(split, dict) or not {"known", "unknown"} <= set(split):
        return ['a split must be {"known": [...], "unknown": [...]}.']
    problems = []
    for side, source, fewest in (("known", pair.known, 2), ("unknown", pair.unknown, 1)):
        labels = split[side]
        last = len(source.classes) - 1 if source.classes else math.inf  # known once files are read
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            return [f"{side} must be a list of class numbers, not {labels!r}."]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            problems.append(f"{side} lists {_join(twice)} more than once.")
        if outside := sorted({label for label in labels if not 0 <= label <= last}):
            problems.append(
                f"{side} class {_join(outside)} does not exist; {source.name} has 0 to {last}."
            )
        if len(set(labels)) < fewest:
            problems.append(f"at least {fewest} {side} must be given, not {len(set(labels))}.")
    both = sorted(set(split["known"]) & set(split["unknown"]))
    if both and pair.known is pair.unknown:
        problems.append(f"{_join(both)} cannot be both known and unknown.")
    return problems


def _join(labels: Sequence[int]) -> str:
    return ", ".join(map(str, labels))
