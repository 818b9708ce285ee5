"""What a plan needs to know of data sets: by their files or, where these are elsewhere, by facts.

Facts of a data set are plain JSON, of the subsets that it has:

    {"name": "mnist", "classes": ["0", ...], "other_names": [["zero", 0], ...],
     "subsets": {"train": {"content": "3f9a...", "counts": {"0": 5923, ...}}, "test": ...}}
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from osr_core.data import BENCHMARKS, reader
from osr_core.data.base import Benchmark, Reader, Subset
from osr_core.data.checks import class_counts
from osr_core.data.split_files import Names, by_name, names_under
from osr_core.errors import DataError, MissingDataError

Facts = Mapping[str, Any]
Told = Callable[[str], Sequence[Facts]]  # by a data set's name, of each version of it
SUBSETS: tuple[Subset, ...] = ("train", "test")


def nothing_told(name: str) -> Sequence[Facts]:
    """Where the files at hand are all that is known."""
    return ()


@dataclass(frozen=True)
class KnownData:
    """Data sets whose files lie under `root`, or of which `told` has facts."""

    root: Path | None
    told: Told = nothing_told

    def fingerprints(self, benchmarks: Iterable[Benchmark]) -> dict[str, str]:
        """Hashes of all data that benchmarks read, by "cifar10/train".

        Raises:
            MissingDataError: files are nowhere; says it of each data set.
            DataError: files cannot be read, or several versions are elsewhere; says it of each.
        """
        found, problems = {}, dict[tuple[str, type[DataError]], DataError]()
        for each, subset in dict.fromkeys(chain.from_iterable(map(parts_of, benchmarks))):
            try:
                found[f"{each.name}/{subset}"] = self._fingerprint(each, subset)
            except DataError as error:
                problems.setdefault((each.name, type(error)), error)
        if problems:
            is_missing = all(isinstance(each, MissingDataError) for each in problems.values())
            kind = MissingDataError if is_missing else DataError
            raise kind("\n".join(dict.fromkeys(map(str, problems.values()))))
        return found

    def is_here(self, name: str) -> bool:
        """Whether the files of all that a benchmark reads are under the root."""
        try:
            for each, subset in parts_of(BENCHMARKS[name]):
                each.fingerprint(self.root, subset)
        except MissingDataError:
            return False
        return True

    @cached_property
    def names(self) -> Names:
        """What a data set's classes are called."""
        here = names_under(self.root)

        def find(name: str) -> Mapping[str, Sequence[int]]:
            try:
                return here(name)
            except MissingDataError as error:
                facts = self._facts(name, error)
                return by_name(facts["classes"], facts["other_names"])

        return find

    def counts(self, name: str, subset: Subset) -> Counter[int]:
        """How many images of each class a subset has.

        Raises:
            DataError: as `fingerprints`.
        """
        try:
            return class_counts(self.root, name, subset)
        except MissingDataError as error:
            found = self._facts(name, error, subset)["subsets"][subset]["counts"]
            return Counter({int(label): count for label, count in found.items()})

    def _fingerprint(self, reader: Reader, subset: Subset) -> str:
        try:
            return reader.fingerprint(self.root, subset)
        except MissingDataError as error:
            facts = self._facts(reader.name, error, subset)
            return reader.of_version(facts["subsets"][subset]["content"])

    def _facts(self, name: str, absent: MissingDataError, subset: Subset | None = None) -> Facts:
        """Those of the only version of a data set that is told of, with this subset."""
        told = [each for each in self.told(name) if subset is None or subset in each["subsets"]]
        if not told:
            raise absent
        if told[1:]:
            raise DataError(
                f"the store has {len(told)} versions of {name}, and none is here that says which "
                f"is meant: {absent}"
            )
        return told[0]


def parts_of(benchmark: Benchmark) -> Iterator[tuple[Reader, Subset]]:
    """What a benchmark reads."""
    yield benchmark.known, "train"
    for each in dict.fromkeys((benchmark.known, benchmark.unknown)):
        yield each, "test"


def facts_of(name: str, root: Path | None) -> Facts:
    """What a plan needs to know of a data set whose files are here.

    Raises:
        DataError: they cannot be read, or are not here.
    """
    found = reader(name)
    there = [subset for subset in SUBSETS if _has(found, root, subset)] or list(SUBSETS)
    subsets = {
        subset: {
            "content": found.content(root, subset),
            "counts": dict(sorted(class_counts(root, name, subset).items())),
        }
        for subset in there
    }
    others = [[other, number] for other, number in found.other_names(root)]
    classes = list(found.class_names(root))
    return {"name": name, "classes": classes, "other_names": others, "subsets": subsets}


def _has(reader: Reader, root: Path | None, subset: Subset) -> bool:
    try:
        reader.files(root, subset)
    except MissingDataError:
        return False
    return True
