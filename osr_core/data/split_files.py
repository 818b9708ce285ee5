"""Split files of one's own: {"splits": {"folder:birds": [{"known": [...], "unknown": [...]}]}}.

A side lists the classes' numbers or their names. Where only the files name the classes (one's own
images, ImageNet), names have numbers once these are read. What else a split holds is free for
notes.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import normalize

from osr_core.data import BENCHMARKS, Benchmark, reader
from osr_core.data.folders import in_order
from osr_core.data.own import is_own
from osr_core.errors import ConfigError, unknown_name

Lists = Mapping[str, Sequence[Mapping[str, Any]]]  # splits by benchmark
Names = Callable[[str], Mapping[str, Sequence[int]]]
"""What a dataset's classes are called, with the numbers that a name has; none: not known yet."""


def beforehand(name: str) -> Mapping[str, Sequence[int]]:
    """A dataset's names as far as they are known without its files."""
    found = reader(name)
    return {} if found.named_by_files else by_name(found.classes, found.other_names(None))


def names_under(root: Path | None) -> Names:
    """The names of datasets whose files lie under `root`.

    They raise DataError as `Reader.class_names`.
    """
    return cache(
        lambda name: by_name(reader(name).class_names(root), reader(name).other_names(root))
    )


def by_name(
    classes: Sequence[str], others: Iterable[tuple[str, int]]
) -> Mapping[str, Sequence[int]]:
    """The numbers of each name; what is a class's own name is no other's."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        found.setdefault(normalize("NFC", name), []).append(number)
    further: dict[str, list[int]] = {}
    for name, number in others:
        if name not in found:
            further.setdefault(name, []).append(number)
    return found | further


def read_splits(path: Path) -> Lists:
    """The splits of a user's file, checked as far as it goes without the data.

    Raises:
        ConfigError: it cannot be read, or has mistakes, all of them at once.
    """
    try:
        text = normalize("NFC", path.read_text(encoding="utf-8-sig"))  # Windows begins with a mark
        content = json.loads(text, object_pairs_hook=_each_once)
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


def class_numbers(
    where: str, pair: Benchmark, split: Mapping[str, Any], names: Names
) -> tuple[list[int], list[int]]:
    """The known and the unknown classes of a split that may name them; `where` opens an error.

    Raises:
        ConfigError: a name that no class has, or a class on both sides.
    """
    if problems := split_problems(pair, split, names):
        raise ConfigError([f"{where}: {text}" for text in problems])
    known, unknown = (
        _numbers(split[side], names, source.name)
        for side, source in (("known", pair.known), ("unknown", pair.unknown))
    )
    # Names that have no numbers yet get some, so that a sweep can be counted without its data.
    stand_ins = in_order({k for k in (*known, *unknown) if isinstance(k, str)})
    first, second = (
        [stand_ins.index(k) if isinstance(k, str) else k for k in side] for side in (known, unknown)
    )
    return first, second


def split_problems(pair: Benchmark, split: Any, names: Names = beforehand) -> list[str]:
    """A sentence for everything that is wrong with {"known": [...], "unknown": [...]}."""
    if not isinstance(split, dict) or not {"known", "unknown"} <= set(split):
        return ['a split must be {"known": [...], "unknown": [...]}.']
    problems = []
    found = {}
    for side, source, fewest in (("known", pair.known, 2), ("unknown", pair.unknown, 1)):
        classes = split[side]
        if not isinstance(classes, list) or {*map(type, classes)} not in (set(), {int}, {str}):
            return [f"{side} must be a list of class numbers or of names, not {classes!r}."]
        if twice := sorted({each for each in classes if classes.count(each) > 1}):
            problems.append(f"{side} lists {_join(twice)} more than once.")
        problems += _absent(side, classes, names, source.name)
        if len(set(classes)) < fewest:
            problems.append(f"at least {fewest} {side} must be given, not {len(set(classes))}.")
        found[side] = _numbers(classes, names, source.name)
    known = dict(zip(found["known"], split["known"], strict=True))
    both = sorted({known[each] for each in found["unknown"] if each in known})
    if both and pair.known is pair.unknown:
        problems.append(f"{_join(both)} cannot be both known and unknown.")
    return problems


def _absent(side: str, classes: Sequence[int | str], names: Names, source: str) -> list[str]:
    """What is wrong with classes that a dataset does not have."""
    numbers = [each for each in classes if isinstance(each, int)]
    last = len(reader(source).classes) - 1 if reader(source).classes else math.inf
    problems = []
    if outside := sorted({k for k in numbers if not 0 <= k <= last}):
        problems.append(f"{side} class {_join(outside)} does not exist; {source} has 0 to {last}.")
    if len(numbers) == len(classes) or not (listed := names(source)):
        return problems
    for name in classes:
        if (num := len(listed.get(str(name), ()))) == 0:
            problems.append(unknown_name(f"{side} class", str(name), listed))
        elif num > 1:
            problems.append(f"{side} class '{name}' is the name of {num} classes; give numbers.")
    return problems


def _numbers(classes: Sequence[int | str], names: Names, source: str) -> list[int | str]:
    """Classes by number; a name that has none stays."""
    if all(isinstance(each, int) for each in classes):
        return list(classes)
    listed = names(source)
    return [listed.get(str(name), [name])[0] for name in classes]


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that is there twice, Python would keep the last."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the key '{twice[0]}' is given twice")
    return dict(pairs)


def _key(name: str) -> str:
    """A benchmark's name in a file of one's own: any case, but for the name of one's own images."""
    return name if is_own(name) else name.lower()


def _join(classes: Sequence[int | str]) -> str:
    return ", ".join(map(str, classes))
