"""Class splits: which classes of a benchmark are known and which are unknown.

A protocol is a published family of splits (`cac`, `osrci`, `arpl`, `vaze`; `cac@original_2020` and
the like for another version of the same lists), `random`, or the path of a .json file of one's own
in the layout {"splits": {"mnist": [{"known": [0, 2], "unknown": [1]}, ...]}}, see `split_files`.
Such a file is how one's own images (`folder:NAME`, `parquet:NAME`) get their splits.

    digits   takes MNIST's lists of the published protocols: the same ten classes.
    random   60 % of a dataset's classes are known (6 of 10, 60 of 100), drawn from the benchmark's
             name and the index alone; any index from 0. Not for CIFAR+N, whose known classes are
             part of its definition.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from osr_core.data import BENCHMARKS, Benchmark
from osr_core.data import benchmark as benchmark_named
from osr_core.data.split_files import Names, beforehand, class_numbers, read_splits
from osr_core.errors import ConfigError, unknown_name
from osr_core.identity import seed_for

RANDOM = "random"
RANDOM_KNOWN = 0.6  # fraction of the classes


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


class Note(NamedTuple):
    """A sentence or more about a protocol's class lists."""

    text: str
    on: tuple[str, ...] = ()  # the benchmarks that it concerns; none named: all


@dataclass(frozen=True)
class Protocol:
    """A family of splits, as listed by `protocols`."""

    name: str
    source: str  # paper and repository
    notes: tuple[Note, ...]  # known defects and what else a user should know
    counts: Mapping[str, int | None]  # splits by benchmark; None where any index will do

    def notes_on(self, *benchmarks: str) -> list[str]:
        """What concerns the splits of any of some benchmarks."""
        return [note.text for note in self.notes if not note.on or {*note.on} & {*benchmarks}]


def protocols() -> dict[str, Protocol]:
    """Every protocol by name, published ones first; a file of one's own is not among them."""
    drawn = Protocol(
        RANDOM,
        "drawn here, by hashing the benchmark, the index and the class",
        (Note(f"{RANDOM_KNOWN:.0%} of the classes are known."),),
        {name: None for name, pair in BENCHMARKS.items() if pair.known is pair.unknown},
    )
    listed = {
        name: Protocol(
            name,
            content["source"],
            tuple(Note(note["text"], _lists_of(note.get("on", ()))) for note in content["notes"]),
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


def class_split(benchmark: str, protocol: str, index: int, names: Names = beforehand) -> ClassSplit:
    """Split number `index` of `benchmark` in `protocol`.

    `names` gives what a dataset's classes are called: a file of one's own may name them. As long as
    it has none for one's own images, their classes have numbers that stand for those to come.

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
        where = f"{protocol}: {benchmark}/{index}"
        known, unknown = class_numbers(where, pair, splits[index], names)
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
        lists = read_splits(Path(protocol))
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
            entry["splits"] |= dict.fromkeys(_lists_of([benchmark]), splits)
    return found


def _lists_of(names: Iterable[str]) -> tuple[str, ...]:
    """The benchmarks that have the lists published under some names: digits has those of MNIST."""
    lower = tuple(name.lower() for name in names)
    return (*lower, "digits") if "mnist" in lower else lower
