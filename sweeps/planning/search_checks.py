"""What can be known of a spec's searches before the first candidate is tried."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from osr_core.data.checks import Counts, inner_problems
from osr_core.data.inner_splits import FEWEST_LEFT, num_hidden
from osr_core.data.splits import ClassSplit
from osr_core.errors import ConfigError
from osr_core.legs import last_fits
from sweeps.planning.plan import plan_trial
from sweeps.planning.rules import RULES
from sweeps.planning.search_block import Search
from sweeps.planning.settings import resolve
from sweeps.planning.spec import SweepSpec
from sweeps.planning.stage_checks import check_kept

MOST_TRIED = 2048  # combinations of choices and ends of ranges; of more none is ruled out


def check_searches(spec: SweepSpec, data_root: Path | None, counts: Counts) -> None:
    """Refuse searches whose rules the splits or the data cannot serve.

    Raises:
        ConfigError: everything that is wrong, with its method.
    """
    problems = [
        f"search of {search.method}: {problem}"
        for search in spec.searches
        for dataset in spec.datasets
        for problem in search_problems(spec, search, dataset, data_root, counts)
    ]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def search_problems(
    spec: SweepSpec, search: Search, dataset: str, data_root: Path | None, counts: Counts
) -> Iterator[str]:
    """A sentence for all that keeps a search on a dataset from being measured."""
    yield from hopeless_values(spec, search, dataset)
    rules = [RULES[name] for name in search.rules]
    for index in search.options.splits or spec.splits:
        try:
            split = spec.split(dataset, search.protocol or spec.protocol, index)
        except ConfigError as error:
            yield from error.problems
            continue
        if any(rule.hides for rule in rules):
            yield from too_few(split, search)
        yield from rung_problems(spec, search, split)
        if not all(rule.is_oracle for rule in rules):
            yield from inner_problems(data_root, split, counts, fraction=search.options.held_out)


def too_few(split: ClassSplit, search: Search) -> Iterator[str]:
    """A sentence where too few known classes would be left if some are hidden."""
    if num_hidden(split.num_known, search.options.hidden) < 1:
        yield (
            f"rule {search.options.select} hides known classes, and split {split.id} has "
            f"{split.num_known}; it needs {FEWEST_LEFT + 1} at least. Choose by known_accuracy, or "
            "search on other splits."
        )


def hopeless_values(spec: SweepSpec, search: Search, dataset: str) -> Iterator[str]:
    """A sentence for each choice, or end of a range, that no other setting makes possible.

    A candidate with it would fail: a setting that the recipe's network does not have, or a schedule
    that keeps by what is not measured.
    """
    ends = [dimension.extremes for dimension in search.space]
    if prod(map(len, ends)) > MOST_TRIED:
        return
    works: set[tuple[int, int]] = set()
    reasons: dict[tuple[int, int], str] = {}  # by positions of a dimension and of its value
    for at in product(*map(range, map(len, ends))):
        values = [ends[d][number] for d, number in enumerate(at)]
        params: dict[str, Any] = {}
        for dimension, value in zip(search.space, values, strict=True):
            if dimension.is_active({**search.fixed, **params}):
                params[dimension.name] = value
        met = {(d, n) for d, n in enumerate(at) if search.space[d].name in params}
        try:
            entry = resolve(spec, dataset, search.method, search.settings(params))
            check_kept(search.method, entry.schedule)
            works |= met
        except ConfigError as error:
            reasons |= dict.fromkeys(met, error.problems[0])
    for (d, number), reason in sorted(reasons.items()):
        if (d, number) not in works:
            name = search.space[d].name
            yield f"{name} {ends[d][number]!r} goes with nothing else of the space: {reason}"


def rung_problems(spec: SweepSpec, search: Search, split: ClassSplit) -> Iterator[str]:
    """A sentence where candidates cannot be compared at the rungs: all must have one schedule."""
    if not (rungs := search.options.rungs):
        return
    lengths: set[int] = set()
    for params in search.extremes():
        with suppress(ConfigError):  # values that do not go together are a failed candidate
            entry = resolve(spec, split.benchmark, search.method, search.settings(params))
            trial = plan_trial(entry, split, 0, defaultdict(str))
            fits = last_fits(trial.score.inputs["model"])
            lengths |= {fit.config["training"]["epochs"] for fit in fits}
    if not lengths:
        yield f"rungs {list(rungs)} are epochs of a fit, and {search.method} has none of its own."
    elif len(lengths) > 1:
        yield (
            f"rungs compare candidates at one epoch of one schedule, and the space has some of "
            f"{min(lengths)} to {max(lengths)} epochs. Leave the rungs out, or fix the epochs."
        )
    elif rungs[-1] >= min(lengths):
        yield (
            f"rungs must be < {min(lengths)}, the epochs of the fit that is scored, not "
            f"{rungs[-1]}."
        )
