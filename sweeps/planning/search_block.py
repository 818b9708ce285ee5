"""The `search` block of a method's entry: what is varied, how, and by which rule one is chosen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from osr_core.config import as_dict, build, check, setting
from osr_core.errors import ConfigError, unknown_name
from sweeps.planning.entry import SEARCH, MethodSettings, method_settings
from sweeps.planning.rules import RULES, measures
from sweeps.planning.search_space import Dimension, laid_over, read_space

DEFAULT_RULE = "held_out_classes_auroc"
OTHERS = ("space", "enqueue", "from")  # keys of a block besides those of a `Options`


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a search goes, whatever it varies."""

    candidates: int = setting(20, "settings to try", at_least=1, at_most=100_000)
    sampler: str = setting("tpe", "how they are suggested", choices=("tpe", "random", "qmc", "gp"))
    select: str = setting(DEFAULT_RULE, "the rule that chooses", choices=tuple(RULES))
    objective: tuple[str, ...] = setting(
        (), "what the sampler looks at: one rule or several; default: that which chooses"
    )
    splits: tuple[int, ...] = setting((), "splits to search on; default: the spec's", at_least=0)
    seeds: tuple[int, ...] = setting((), "seeds to search with; default: the spec's", at_least=0)
    prune: str = setting(
        "paired", "whether hopeless candidates are dropped", choices=("paired", "none")
    )
    rungs: tuple[int, ...] = setting(
        (), "epochs of a fit at which hopeless candidates are dropped, too", at_least=1
    )
    top: int = setting(1, "chosen settings that go on to the evaluation", at_least=1)
    lag: int = setting(
        8,
        "candidates at work at once: number n knows the results of those before n - lag + 1. "
        "Twice the stages that run at once costs no time",
        at_least=1,
    )
    seed: int = setting(0, "of the sampler", at_least=0)
    held_out: float = setting(
        0.2, "share of the training images that candidates are measured on", above=0, below=1
    )
    hidden: float = setting(
        1 / 3, "share of the known classes that play the unknown ones", above=0, below=1
    )
    gpu_hours: float | None = setting(
        None, "ask no more once stages of candidates have held a GPU, or a core, so long", above=0
    )
    wall_hours: float | None = setting(
        None,
        "ask no more once stages of candidates were at work for so long, pauses aside",
        above=0,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search over one method's settings."""

    method: str
    fixed: Mapping[str, Any]  # the entry's other settings, as given
    space: tuple[Dimension, ...]
    enqueue: tuple[Mapping[str, Any], ...] | None  # tried first, by dotted names; None: the paper's
    sources: tuple[str, ...]  # sweeps whose searches are known from the start
    options: Options

    @property
    def rules(self) -> tuple[str, ...]:
        """Every rule whose number is taken of a candidate, the objective's first."""
        options = self.options
        return tuple(dict.fromkeys((*self.objective, options.select)))

    @property
    def objective(self) -> tuple[str, ...]:
        """The rules that the sampler looks at."""
        return self.options.objective or (self.options.select,)

    def extremes(self) -> Iterator[Mapping[str, Any]]:
        """The settings beside the space, and each end of a range and each choice beside them."""
        yield {}
        for dimension in self.space:
            yield from ({dimension.name: value} for value in dimension.extremes)

    @property
    def measures(self) -> list[tuple[str, ...]]:
        """What is measured of a candidate on each split with each seed, in this order."""
        return measures(self.rules, self.options.rungs)

    def settings(self, params: Mapping[str, Any]) -> MethodSettings:
        """The settings of a candidate.

        Raises:
            ConfigError: values that do not go together.
        """
        return method_settings(self.method, laid_over(self.fixed, params))

    @property
    def looks_at(self) -> str:
        """What was looked at to choose; an oracle that only leads the sampler is one, too."""
        rule = RULES[self.options.select]
        oracles = [RULES[name] for name in self.objective if RULES[name].is_oracle]
        led = [f"led by {oracle.looks_at}" for oracle in oracles if oracle is not rule]
        return "; ".join([rule.looks_at, *led])

    @property
    def protocol(self) -> str:
        """Of its splits; "" is the spec's."""
        return str(self.fixed.get("protocol", ""))

    def plain(self) -> dict[str, Any]:
        """The entry as a spec has it, every default of the block written out."""
        block = {
            key: value for key, value in as_dict(self.options).items() if value not in ([], None)
        }
        space = {dimension.name: dimension.plain() for dimension in self.space}
        block |= {"from": list(self.sources)} if self.sources else {}
        if self.enqueue is not None:
            block["enqueue"] = [dict(point) for point in self.enqueue]
        return {**self.fixed, SEARCH: {"space": space, **block}}


def read_search(method: str, given: Any, fixed: Mapping[str, Any]) -> Search:
    """A method's `search` block, checked in full.

    Raises:
        ConfigError: every unknown key and every value that is not allowed.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"search must be a mapping with a space, not {given!r}.")
    problems: list[str] = []
    space: tuple[Dimension, ...] = ()
    points: tuple[Mapping[str, Any], ...] | None = None
    options = Options()
    known = (*OTHERS, *(field.name for field in fields(Options)))
    problems += [unknown_name("key", str(key), known) for key in given if key not in known]
    for key in ("splits", "seeds", "objective"):
        listed = given.get(key)
        if isinstance(listed, list) and any(listed.count(each) > 1 for each in listed):
            problems.append(f"{key} names something more than once: {listed}.")
    try:
        space = read_space(method, given.get("space"), fixed)
        points = _points(given.get("enqueue"), space, fixed)
    except ConfigError as error:
        problems += error.problems
    try:
        own = {key: value for key, value in given.items() if key in known and key not in OTHERS}
        options = build(Options, own)
        problems += [unknown_name("rule", r, RULES) for r in options.objective if r not in RULES]
    except ConfigError as error:
        problems += error.problems
    problems += _disagreements(options, len(points or ()))
    if not _are_names(given.get("from", [])):
        problems.append(f"from must be a sweep's name, or a list of them, not {given['from']!r}.")
    if problems:
        raise ConfigError([f"search: {problem}" for problem in problems])
    named = given.get("from", [])
    return Search(
        method=method,
        fixed=fixed,
        space=space,
        enqueue=points,
        sources=(named,) if isinstance(named, str) else tuple(named),
        options=options,
    )


def _disagreements(options: Options, num_first: int) -> Iterator[str]:
    """A sentence for all options that do not go together; `num_first` settings are enqueued."""
    if any(late <= early for early, late in pairwise(options.rungs)):
        yield f"rungs must ascend, not {list(options.rungs)}."
    if options.rungs and options.prune == "none":
        yield "rungs are for pruning, which is none; leave them out, or prune: paired."
    if options.prune != "none" and len(options.objective) > 1:
        yield "prune needs one objective; set prune: none for several."
    if options.top > options.candidates:
        yield f"top is {options.top}; it must be <= candidates, {options.candidates}."
    if num_first > options.candidates:
        yield f"enqueue has {num_first} settings; it must have <= candidates, {options.candidates}."


def _are_names(given: Any) -> bool:
    return all(isinstance(name, str) for name in (given if isinstance(given, list) else [given]))


def _points(
    given: Any, space: tuple[Dimension, ...], fixed: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...] | None:
    """The settings to try first."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise ConfigError(f"enqueue must be a list of settings, not {given!r}.")
    problems: list[str] = []
    names = [dimension.name for dimension in space]
    for position, point in enumerate(given):
        if not isinstance(point, Mapping):
            problems.append(f"enqueue.{position} must be a mapping, not {point!r}.")
            continue
        unknown = [unknown_name("setting", str(n), names) for n in point if n not in names]
        problems += [f"enqueue.{position}: {problem}" for problem in unknown]
        problems += [
            f"enqueue.{position}: '{dimension.name}' is missing."
            for dimension in space
            if dimension.name not in point and dimension.is_active({**fixed, **point})
        ]
        problems += [
            f"enqueue.{position}: {dimension.name} does not count beside the others; leave it out."
            for dimension in space
            if dimension.name in point and not dimension.is_active({**fixed, **point})
        ]
        problems += [
            f"enqueue.{position}: {dimension.name} {point[dimension.name]!r} is not in the space."
            for dimension in space
            if dimension.name in point and not dimension.contains(point[dimension.name])
        ]
    if problems:
        raise ConfigError(problems)
    return tuple({d.name: point[d.name] for d in space if d.name in point} for point in given)
