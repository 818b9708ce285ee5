"""The plan: spec -> trials and the graph of their stages, each distinct stage once.

Pure and sorted: the same spec and data give the same plan, byte for byte, on every machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from osr_core.data.inner_splits import InnerSplit
from osr_core.data.splits import ClassSplit
from osr_core.imported import MARK, Imported
from osr_core.kinds import Kind
from osr_core.stage import Stage
from osr_core.trial import Trial
from osr_core.wording import Shortened
from sweeps.planning.resources import Resources
from sweeps.planning.settings import Resolved, resolve
from sweeps.planning.spec import SweepSpec
from sweeps.planning.stage_checks import check_stage

EVALUATE, SEARCH = "evaluate", "search"  # what a trial is for
UNSELECTED = "none"  # no rule has chosen the hyperparameters


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial: what it is called, and the stages that it needs."""

    method: str
    title: str
    hyperparameters: Mapping[str, Any]  # resolved, plus the overrides given for this method
    backbone: Mapping[str, Any]
    training: Mapping[str, Any]
    split: ClassSplit
    seed: int
    score: Stage
    purpose: str = EVALUATE  # only trials that evaluate enter tables
    grown: bool = False  # added while the sweep ran; the spec does not name it
    selection: str = UNSELECTED  # how its hyperparameters were chosen
    inner: InnerSplit | None = None  # of a trial by which a search chooses
    ends: tuple[int | None, ...] = ()  # of the legs in which its last fit is made
    imported: Imported | None = None  # what of it was made elsewhere

    @property
    def id(self) -> str:
        """The id of the stage that gives the trial's numbers."""
        return self.score.id

    @property
    def label(self) -> str:
        """For people: "cac cifar10/3 seed 0", and of one that ends at a rung its epoch."""
        mark = f" {MARK}" if self.imported else ""
        return f"{self.method}{mark} {self.split.id} seed {self.seed}{self.rung}"

    @property
    def rung(self) -> str:
        """Of a trial that ends on the way of a fit, where: " epoch 30"; of any other nothing."""
        return f" epoch {self.ends[-1]}" if self.ends and self.ends[-1] else ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials of a sweep and the stages that they are made of."""

    spec: SweepSpec
    fingerprints: Mapping[str, str]
    trials: tuple[PlannedTrial, ...]
    stages: Mapping[str, Stage] = field(default_factory=dict)  # by id, inputs before users
    searches: tuple[Mapping[str, Any], ...] = ()  # what is said of each, as plain JSON

    @cached_property
    def trial_ids(self) -> tuple[str, ...]:
        """The trials' ids, in order."""
        return tuple(trial.id for trial in self.trials)

    @cached_property
    def owed(self) -> tuple[str, ...]:
        """The ids of trials that evaluate: without them the sweep is not complete. A trial by which
        a search chooses may fail, and the search goes on.
        """
        return tuple(trial.id for trial in self.trials if trial.purpose == EVALUATE)

    @property
    def unchosen(self) -> list[Mapping[str, Any]]:
        """What is said of the searches that have chosen nothing, or not yet."""
        return [
            search
            for search in self.searches
            if all(candidate["chosen"] is None for candidate in search["candidates"])
        ]

    @cached_property
    def trials_of(self) -> dict[str, list[PlannedTrial]]:
        """The trials that need each stage."""
        needed: dict[str, list[PlannedTrial]] = {stage_id: [] for stage_id in self.stages}
        for trial in self.trials:
            for stage in trial.score.walk():
                needed[stage.id].append(trial)
        return needed

    @cached_property
    def varied(self) -> dict[str, dict[str, Shortened]]:
        """By method, the hyperparameters in which its trials differ, and how values are shown."""
        settings: dict[str, list[Mapping[str, Any]]] = {}
        for trial in (each for each in self.trials if not each.imported):
            settings.setdefault(trial.method, []).append(trial.hyperparameters)
        return {
            method: {
                key: Shortened(each.get(key) for each in given)
                for key in dict.fromkeys(key for each in given for key in each)
                if any(each.get(key) != given[0].get(key) for each in given)
            }
            for method, given in settings.items()
        }

    @cached_property
    def trial_of(self) -> dict[str, PlannedTrial]:
        """By id of a stage that gives a trial's numbers, that trial."""
        return {trial.id: trial for trial in self.trials}

    def extended(self, trials: Iterable[PlannedTrial]) -> "Plan":
        """This plan with trials that its spec does not name, and the stages they need besides."""
        grown = (trial if trial.grown else replace(trial, grown=True) for trial in trials)
        extended = plan_with(self.spec, self.fingerprints, [*self.trials, *grown])
        return replace(extended, searches=self.searches)

    def counts(self) -> dict[str, int]:
        """What the sweep costs, before anything runs.

        fits: stages that train. shared: stages that more than one trial uses. fits_saved: fits that
        running trial by trial would repeat. epochs: of all fits together.
        """
        uses = {stage_id: len(trials) for stage_id, trials in self.trials_of.items()}
        fits = [stage for stage in self.stages.values() if stage.kind.trains]
        return {
            "trials": len(self.trials),
            "stages": len(self.stages),
            "fits": len(fits),
            "shared": sum(count > 1 for count in uses.values()),
            "fits_saved": sum(uses[stage.id] - 1 for stage in fits),
            "epochs": round(sum(stage.effort for stage in fits)),
        }

    def describe(self, stage: Stage) -> str:
        """For people: "fit cac digits/3 seed 0", "score mls digits/3 seed 0"."""
        config = stage.config
        if stage.id in self.trial_of:
            return f"{stage.kind} {self.trial_of[stage.id].label}{self.differing(stage)}"
        words = [stage.kind.name, config["method"]["name"]]
        words.append(place_of(config["task"]))
        words += [f"seed {config['seed']}"] if "seed" in config else []
        words += [f"member {config['member']}"] if config.get("member") else []
        if "leg" in config:
            words.append(f"epochs {config['leg'][0] + 1} to {config['leg'][1]}")
        return " ".join(words) + self.differing(stage)

    def differing(self, stage: Stage) -> str:
        """What tells a stage from its method's others: " anchor_weight=0.2", or nothing."""
        settings = stage.config
        method = settings.get("method", {}).get("name", "")
        if trial := self.trial_of.get(stage.id):
            settings = {"method": trial.hyperparameters, "training": trial.training}
            settings |= {"backbone": trial.backbone}
        known = dict(settings.get("method", {}))
        for part in ("training", "backbone"):
            known |= {f"{part}.{key}": value for key, value in settings.get(part, {}).items()}
        return "".join(
            f" {key}={shown(known[key])}"
            for key, shown in self.varied.get(method, {}).items()
            if key in known
        )

    def kinds(self) -> dict[Kind, int]:
        """Number of stages by kind, in the order of the kinds' names."""
        counts = Counter(stage.kind for stage in self.stages.values())
        return {kind: counts[kind] for kind in sorted(counts, key=str)}


def place_of(task: Mapping[str, Any]) -> str:
    """Where a stage belongs: "digits/3"; imported weights, to a dataset: "digits"."""
    return f"{task['dataset']}/{task['split']}" if "split" in task else str(task["dataset"])


def make_plan(spec: SweepSpec, fingerprints: Mapping[str, str]) -> Plan:
    """Collect every trial's stages; equal ones, by id, are kept once.

    `fingerprints` maps "digits/train" to the hash of that data, for every dataset of the spec.

    Raises:
        ConfigError: settings that do not go together.
    """
    return plan_with(spec, fingerprints, planned_trials(spec, fingerprints))


def plan_with(
    spec: SweepSpec, fingerprints: Mapping[str, str], given: Iterable[PlannedTrial]
) -> Plan:
    """The plan of some trials; one that is given twice counts once."""
    trials: dict[str, PlannedTrial] = {}
    for trial in given:
        trials[trial.id] = both(trials.get(trial.id, trial), trial)
    stages: dict[str, Stage] = {}
    for trial in trials.values():
        add_stages(trial.score, stages, spec.resources)
    return Plan(spec=spec, fingerprints=fingerprints, trials=tuple(trials.values()), stages=stages)


def both(first: PlannedTrial, second: PlannedTrial) -> PlannedTrial:
    """One trial that is planned twice, such as an evaluation by which an oracle has chosen."""
    evaluates = first if first.purpose == EVALUATE else second
    if first.purpose == second.purpose == EVALUATE and first.selection != second.selection:
        return replace(first, selection=f"{first.selection}, and {second.selection}")
    return evaluates


def add_stages(stage: Stage, stages: dict[str, Stage], resources: Resources) -> None:
    """Put a stage and all upstream of it into `stages`, inputs first."""
    if stage.id in stages:
        return
    for upstream in stage.inputs.values():
        add_stages(upstream, stages, resources)
    check_stage(stage, resources)
    stages[stage.id] = stage


def planned_trials(spec: SweepSpec, fingerprints: Mapping[str, str]) -> Iterator[PlannedTrial]:
    """One trial per dataset, split, method, grid point and seed, in the spec's order."""
    for dataset in spec.datasets:
        entries = [
            resolve(spec, dataset, name, settings)
            for name, grid_points in spec.grids.items()
            for settings in grid_points
        ]
        for index in spec.splits:
            for entry in entries:
                split = spec.split(dataset, entry.protocol, index)
                for seed in spec.seeds:
                    yield plan_trial(entry, split, seed, fingerprints)


def plan_trial(
    entry: Resolved,
    split: ClassSplit,
    seed: int,
    fingerprints: Mapping[str, str],
    inner: InnerSplit | None = None,
    ends: tuple[int | None, ...] = (),
) -> PlannedTrial:
    """The trial of one entry on one split with one seed; with an inner split, of a search.

    `ends` are those of the legs in which its last fit is made (see `osr_core.legs`).

    Raises:
        ConfigError: a leg that would not end before the schedule does.
    """
    trial = Trial(
        method=entry.method,
        config=entry.config,
        split=split,
        fingerprints=fingerprints,
        backbone=entry.backbone,
        training=entry.training,
        seed=seed,
        inner=inner,
        ends=ends,
    )
    return PlannedTrial(
        method=entry.method.name,
        title=entry.method.title,
        hyperparameters=entry.hyperparameters,
        backbone=entry.backbone,
        training=entry.schedule,
        split=split,
        seed=seed,
        score=trial.last,
        inner=inner,
        ends=ends,
    )


def remaining(plan: Plan, done: Iterable[str], again: Iterable[str] = ()) -> list[Stage]:
    """Stages that must still run for the trials, and the stages in `again`, to be complete.

    Any other stage whose only users are done is not run again, even where its result is gone.
    """
    finished = set(done)
    wanted = [trial.id for trial in plan.trials if trial.id not in finished]
    wanted += again
    needed: set[str] = set()
    while wanted:
        stage_id = wanted.pop()
        if stage_id in needed:
            continue
        needed.add(stage_id)
        inputs = plan.stages[stage_id].inputs.values()
        wanted += [stage.id for stage in inputs if stage.id not in finished]
    return [stage for stage_id, stage in plan.stages.items() if stage_id in needed]
