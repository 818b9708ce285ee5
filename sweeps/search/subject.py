"""What a search is about: a method's settings in a spec, on one of its datasets."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from osr_core.config import as_dict
from osr_core.data.inner_splits import inner_split
from osr_core.errors import ConfigError
from osr_core.identity import digest, dotted
from osr_core.legs import last_fits
from sweeps.planning.plan import SEARCH, Plan, PlannedTrial, plan_trial
from sweeps.planning.rules import RULES, Rule, rule_of
from sweeps.planning.search_block import Search
from sweeps.planning.settings import Resolved, resolve
from sweeps.planning.spec import SweepSpec
from sweeps.planning.stage_checks import check_keep

PASSING = ("candidates", "top", "gpu_hours", "wall_hours")  # of a block; they change no candidate
Steps = list[dict[str, PlannedTrial]]  # of a candidate, by measure, in the order in which it is met


@dataclass(frozen=True)
class Subject:
    """What a study searches for: a method's settings in a spec, on one of its datasets."""

    spec: SweepSpec
    search: Search
    dataset: str
    fingerprints: Mapping[str, str]

    def resolved(self, params: Mapping[str, Any]) -> Resolved:
        """The settings of a candidate, the recipe's included."""
        search = self.search
        return resolve(self.spec, self.dataset, search.method, search.settings(params))

    def trials(self, params: Mapping[str, Any]) -> Steps:
        """By which trials a candidate is measured: on each split with each seed, there at each rung
        and at the end.

        Raises:
            ConfigError: its values do not go together.
        """
        entry, options = self.resolved(params), self.search.options
        points = [
            (index, seed)
            for index in options.splits or self.spec.splits
            for seed in options.seeds or self.spec.seeds
        ]
        ends = [*options.rungs, None] if options.rungs else []
        legs = [tuple(ends[: position + 1]) for position in range(len(self.search.measures))]
        steps = [
            {each: self._trial(entry, RULES[rule_of(each)], *point, ends) for each in measured}
            for point in points
            for measured, ends in zip(self.search.measures, legs, strict=True)
        ]
        for stage in (stage for step in steps for t in step.values() for stage in t.score.walk()):
            check_keep(stage)
        return steps

    def _trial(
        self, entry: Resolved, rule: Rule, index: int, seed: int, ends: tuple[int | None, ...]
    ) -> PlannedTrial:
        split, options = self.spec.split(self.dataset, entry.protocol, index), self.search.options
        inner = None
        if not rule.is_oracle:
            hides = options.hidden if rule.hides else 0.0
            inner = inner_split(split, hides=hides, fraction=options.held_out)
        trial = plan_trial(entry, split, seed, self.fingerprints, inner, ends)
        return replace(trial, purpose=SEARCH, grown=True)

    def evaluations(self, params: Mapping[str, Any], selection: str) -> Iterator[PlannedTrial]:
        """The trials of a chosen candidate: trained anew on all known classes."""
        entry = self.resolved(params)
        for index in self.spec.splits:
            split = self.spec.split(self.dataset, entry.protocol, index)
            for seed in self.spec.seeds:
                trial = plan_trial(entry, split, seed, self.fingerprints)
                yield replace(trial, selection=selection)

    def first_points(self) -> tuple[Mapping[str, Any], ...]:
        """The settings to try first: by default those of the paper, if they lie in the space."""
        if self.search.enqueue is not None:
            return self.search.enqueue
        entry = self.resolved({})
        layers = {"training": entry.schedule, "backbone": entry.backbone}
        own = {**as_dict(entry.config), **dict(dotted(layers))}
        settings = {**self.search.fixed, **own}
        counts = [each for each in self.search.space if each.is_active(settings)]
        if not all(each.name in own and each.contains(own[each.name]) for each in counts):
            return ()
        return ({each.name: own[each.name] for each in counts},)

    @cached_property
    def sample(self) -> Steps:
        """The trials of the settings beside the space or, where these need one of it, of the first
        end of a range or choice with which they go together.

        Raises:
            ConfigError: with none.
        """
        for params in self.search.extremes():
            with suppress(ConfigError):
                return self.trials(params)
        return self.trials({})

    @cached_property
    def question(self) -> str:
        """An id that two searches share if their numbers can be compared: the same data, network,
        schedule, splits, seeds and images, measured by the same objective. Rungs change no number.
        """
        whole = replace(self.search, options=replace(self.search.options, rungs=()))
        steps = replace(self, search=whole).sample
        return digest([[step[name].id for name in self.search.objective] for step in steps])

    @cached_property
    def shares(self) -> list[float]:
        """What part of a step a candidate has behind it at each rung and at the end."""
        if not (rungs := self.search.options.rungs):
            return [1.0]
        trial = next(iter(self.sample[0].values()))
        fits = last_fits(trial.score.inputs["model"])
        epochs = max(fit.config["training"]["epochs"] for fit in fits)
        return [*(epoch / epochs for epoch in rungs), 1.0]

    @property
    def draws(self) -> dict[str, Any]:
        """What a sampler's seed is drawn from: the space, and no rule, split or budget."""
        block = self.search.plain()["search"]
        asked = {key: block[key] for key in ("space", "sampler", "seed")}
        return {"method": self.search.method, "dataset": self.dataset, **asked}

    @cached_property
    def identity(self) -> str:
        """An id that two searches share if they ask the same candidates in the same order."""
        block = self.search.plain()["search"]
        asked = {key: value for key, value in block.items() if key not in PASSING}
        steps = [[trial.id for trial in step.values()] for step in self.sample]
        return digest({"dataset": self.dataset, "search": asked, "steps": steps})


def subjects(plan: Plan) -> list[Subject]:
    """What the searches of a plan's spec are about, each on each dataset.

    Raises:
        ConfigError: two that ask the same candidates, and would be one.
    """
    spec = plan.spec
    found = [
        Subject(spec, search, dataset, plan.fingerprints)
        for dataset in spec.datasets
        for search in spec.searches
    ]
    alike = Counter(subject.identity for subject in found)
    if twice := {each.search.method: None for each in found if alike[each.identity] > 1}:
        raise ConfigError(
            f"two searches of {', '.join(twice)} ask the same candidates of the same trials. Keep "
            "one of them, or give the other another seed."
        )
    return found


def remarks(plan: Plan) -> list[str]:
    """What a user should know of the searches of a plan."""
    return [
        f"search of {subject.search.method} on {subject.dataset}: the paper's values do not lie in "
        "its space, and are not tried first. Widen the space, or name others under enqueue."
        for subject in subjects(plan)
        if subject.search.enqueue is None and not subject.first_points()
    ]
