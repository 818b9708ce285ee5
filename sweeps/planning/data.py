"""A plan for the data that is there, and for data that is not."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

from osr_core.data import BENCHMARKS
from osr_core.data.checks import Counts, listed, task_problems
from osr_core.data.sizes import TRAIN_IMAGES, num_train_images
from osr_core.errors import DataError
from osr_core.methods import METHODS
from sweeps.planning.cost import CountImages
from sweeps.planning.known_data import KnownData, Told, nothing_told
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.search_checks import check_searches
from sweeps.planning.spec import SweepSpec


def plan_with_data(spec: SweepSpec, data_root: Path | None, told: Told = nothing_told) -> Plan:
    """The plan of a spec for the data under a root and, of what is not there, for what is `told`.

    Raises:
        DataError: files that are missing; data that does not fit the spec, all problems at once.
        ConfigError: a split file names a class that the data lack.
    """
    data = KnownData(data_root, told)
    found = data.fingerprints(BENCHMARKS[name] for name in spec.datasets)
    named = spec.with_names(data.names)
    plan = make_plan(named, found)
    counts = cache(data.counts)
    check_tasks(plan, data_root, counts)
    check_searches(named, data_root, counts)
    return plan


def check_tasks(plan: Plan, data_root: Path | None, counts: Counts) -> None:
    """Refuse a plan whose splits, channels or held-out images the data cannot give.

    Raises:
        DataError: all that is wrong, a line each.
    """
    asked = dict.fromkeys(
        (trial.split, trial.backbone["channels"], trial.training["validation"])
        for trial in plan.trials
    )
    problems = [
        problem
        for split, channels, validation in asked
        for problem in task_problems(
            data_root, split, counts, channels=channels, validation=validation
        )
    ]
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))


def small_classes(plan: Plan, data_root: Path | None, counts: Counts) -> Iterator[str]:
    """A sentence for each setting that asks for more training images of a class than there are.

    It names the smallest class of any split, its held-out images included.
    """
    asked: dict[tuple[str, str, int, str, str], int] = {}  # of what is asked, the smallest class
    for trial in plan.trials:
        name = trial.split.known_from
        there = counts(name, "train")
        smallest = min(trial.split.known, key=lambda k: there[k])
        for field in fields(METHODS[trial.method].Config):
            few, wanted = field.metadata.get("if_few"), trial.hyperparameters[field.name]
            if few and wanted > there[smallest]:
                about = (trial.method, field.name, wanted, name, few)
                asked[about] = min(asked.get(about, smallest), smallest, key=lambda k: there[k])
    for (method, key, wanted, name, few), k in asked.items():
        yield (
            f"{method}: {key} is {wanted}, and {name} class {listed(data_root, name, [k])} has "
            f"{counts(name, 'train')[k]} training images: {few}."
        )


def partial_data(plan: Plan, counts: Counts) -> Iterator[str]:
    """A sentence for each data set of which there is less to train on than was published."""
    used: dict[str, set[int]] = {}
    for trial in plan.trials:
        used.setdefault(trial.split.known_from, set()).update(trial.split.known)
    for name, classes in used.items():
        there = sum(counts(name, "train")[k] for k in classes)
        if published := more_published(name, classes, there):
            yield (
                f"of the known classes, there are {there:,} training images of {name}, and "
                f"{published:,} were published: results will not be those of the whole data set."
            )


def more_published(name: str, classes: Collection[int], there: int) -> int | None:
    """How many training images of some classes were published, if more than are there.

    None also where only a mean over classes is known, as of ImageNet.
    """
    if isinstance(TRAIN_IMAGES.get(name), float):
        return None
    published = num_train_images(name, classes)
    return published if published and there < published else None


def unused_classes(plan: Plan, data_root: Path | None, counts: Counts) -> Iterator[str]:
    """A sentence for each dataset of which a user's own splits leave out classes altogether."""
    used: dict[tuple[str, str], set[int]] = {}  # by dataset and split file
    for trial in plan.trials:
        split = trial.split
        if split.protocol.endswith(".json") and split.known_from == split.unknown_from:
            classes = used.setdefault((split.known_from, split.protocol), set())
            classes |= {*split.known, *split.unknown}
    for (name, protocol), classes in used.items():
        there = counts(name, "train") + counts(name, "test")
        if left_out := sorted(set(there) - classes):
            yield (
                f"{name} has {len(there)} classes, and the splits of {protocol} name "
                f"{len(there) - len(left_out)} of them; not {listed(data_root, name, left_out)}."
            )


def counted_images(counts: Counts) -> CountImages:
    """Counts the training images of known classes in the files at hand."""

    def count(name: str, known: Sequence[int]) -> int:
        return sum(counts(name, "train")[k] for k in known)

    return count


def check_data(spec: SweepSpec, data_root: Path | None) -> None:
    """Decode every data set of a spec that is here once, so that a broken file is found before any
    work; the others are checked where they are taken from the store.
    """
    for name in filter(KnownData(data_root).is_here, spec.datasets):
        pair = BENCHMARKS[name]
        pair.known.at(data_root, "train", pair.known.image_size)
        for each in {pair.known, pair.unknown}:
            each.at(data_root, "test", pair.known.image_size)


def placeholders(datasets: list[str]) -> dict[str, str]:
    """Fingerprints that stand for data which is not here, to count a plan without it."""
    made_of = [BENCHMARKS[name] for name in datasets]
    readers = {reader.name for b in made_of for reader in (b.known, b.unknown)}
    return {f"{name}/{subset}": "missing" for name in readers for subset in ("train", "test")}
