"""A plan's record: what the store and MLflow keep of it, and all that an export says of a trial.

Whoever has the record needs neither spec nor data to tell what is done.
"""

import dataclasses
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from osr_core.config import as_dict, build
from osr_core.data import benchmark
from osr_core.data.inner_splits import InnerSplit
from osr_core.data.split_files import Names, beforehand
from osr_core.data.splits import ClassSplit, class_split
from osr_core.errors import ConfigError
from osr_core.identity import dotted
from osr_core.imported import SCORES, Imported
from osr_core.methods import method_named
from osr_core.recipes import Training
from osr_core.stage import Stage
from sweeps.planning.imports import with_scores, with_weights
from sweeps.planning.plan import EVALUATE, UNSELECTED, Plan, PlannedTrial, plan_trial, plan_with
from sweeps.planning.settings import Resolved
from sweeps.planning.spec import SweepSpec, load_spec, packaged_specs, parse_spec
from sweeps.planning.spec_splits import Splits


def plan_record(plan: Plan, code: str) -> dict[str, Any]:
    """A plan as plain JSON, made by `code`, a version; equal plans give equal records."""
    spec = plan.spec
    return {
        "sweep": spec.name,
        "protocol": spec.protocol,
        "recipe": spec.recipe,
        "code": code,
        "spec": spec.plain(),
        "altered": altered(spec),
        "defaults": {name: defaults_of(name) for name in spec.methods},
        "fingerprints": dict(plan.fingerprints),
        "splits": [split_facts(each) for each in dict.fromkeys(t.split for t in plan.trials)],
        "trials": [trial_facts(spec, trial) for trial in plan.trials],
        "stages": [stage_facts(plan, stage) for stage in plan.stages.values()],
        "searches": list(plan.searches),
        "leaves": {kind.name: list(kind.leaves) for kind in plan.kinds()},
    }


def piece_of(before: Plan, plan: Plan) -> dict[str, Any] | None:
    """What the record of a plan has besides that of an earlier one, as `store.records` joins it.

    None where it must be written whole: another search is over, or what was said of a trial is no
    longer so.
    """
    if [each["over"] for each in plan.searches] != [each["over"] for each in before.searches]:
        return None
    known, new = before.trial_of, []
    for trial in plan.trials:
        earlier = known.get(trial.id)
        if earlier is None:
            new.append(trial)
        elif (trial.purpose, trial.selection) != (earlier.purpose, earlier.selection):
            return None
    stages = [stage for stage_id, stage in plan.stages.items() if stage_id not in before.stages]
    return {
        "splits": [split_facts(each) for each in dict.fromkeys(trial.split for trial in new)],
        "trials": [trial_facts(plan.spec, trial) for trial in new],
        "stages": [stage_facts(plan, stage) for stage in stages],
        "leaves": {stage.kind.name: list(stage.kind.leaves) for stage in stages},
        "candidates": {
            facts["search_id"]: changed_candidates(earlier, facts)
            for earlier, facts in zip(before.searches, plan.searches, strict=True)
        },
    }


def changed_candidates(before: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Any]:
    """What is said of the candidates of a search that are new, or of which something else was."""
    pairs = zip_longest(before["candidates"], facts["candidates"])
    return [now for earlier, now in pairs if now is not earlier and now != earlier]


def altered(spec: SweepSpec) -> dict[str, Any]:
    """What a spec sets otherwise than the packaged one of its name: "training.epochs" for all
    methods, "methods.cac" where that method's entries do not begin with the packaged ones.

    A paper's table is filled from the sweep of that name, whatever it was told to do.
    """
    file = packaged_specs().get(spec.name.replace("-", "_"))
    if file is None:
        return {}
    theirs, ours = load_spec(str(file)).plain(), spec.plain()
    packaged, here = (dict(dotted(for_all(values))) for values in (theirs, ours))
    found = {
        name: here.get(name, "the recipe's")
        for name in sorted(packaged | here)
        if packaged.get(name) != here.get(name)
    }
    for name, entries in theirs["methods"].items():
        if ours["methods"].get(name, entries)[: len(entries)] != entries:  # a table shows the first
            found[f"methods.{name}"] = "other settings"
    return found


def defaults_of(name: str) -> dict[str, Any]:
    """A method's settings where a spec names none; nothing of one that needs some named, or that is
    only the name of imported scores.
    """
    try:
        return as_dict(build(method_named(name).Config, {}))
    except ConfigError:
        return {}


def for_all(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a spec holds for all its methods and decides numbers, or what they are means of."""
    shared = ("recipe", "protocol", "training", "backbone", "splits", "seeds")
    return {name: spec[name] for name in shared}


def trial_facts(spec: SweepSpec, trial: PlannedTrial) -> dict[str, Any]:
    """All that is said of a trial besides its results; nowhere else is it written down."""
    split = trial.split
    facts = {
        "trial_id": trial.id,
        "method": trial.method,
        "title": trial.title,
        "hyperparameters": dict(trial.hyperparameters),
        "recipe": spec.recipe,
        "backbone": dict(trial.backbone),
        "training": dict(trial.training),
        "protocol": split.protocol,
        "dataset": split.benchmark,
        "split": split.index,
        "seed": trial.seed,
        "num_known": len(split.known),
        "num_unknown": len(split.unknown),
        "openness": split.openness,
        "purpose": trial.purpose,
        "grown": trial.grown,
        "selection": trial.selection,
        "inner": trial.inner and dataclasses.asdict(trial.inner),
    }
    facts |= {"ends": list(trial.ends)} if trial.ends else {}
    return facts | ({"imported": trial.imported.plain()} if trial.imported else {})


def split_facts(split: ClassSplit) -> dict[str, Any]:
    """The classes of a split, which a file of one's own may say otherwise later, or no more."""
    known, unknown = list(split.known), list(split.unknown)
    return {"id": split.id, "protocol": split.protocol, "known": known, "unknown": unknown}


def splits_in(record: Mapping[str, Any]) -> Splits:
    """The splits that a record was made of; any other as it is found now."""
    kept = {(facts["id"], facts["protocol"]): facts for facts in record.get("splits", ())}

    def split(dataset: str, protocol: str, index: int, names: Names) -> ClassSplit:
        facts = kept.get((f"{dataset}/{index}", protocol))
        if facts is None:
            return class_split(dataset, protocol, index, names)
        pair = benchmark(dataset)
        return ClassSplit(
            benchmark=dataset,
            protocol=protocol,
            index=index,
            known_from=pair.known.name,
            known=tuple(facts["known"]),
            unknown_from=pair.unknown.name,
            unknown=tuple(facts["unknown"]),
        )

    return split


def stage_facts(plan: Plan, stage: Stage) -> dict[str, Any]:
    """What a stage is and what it waits for; of the task, what its rows in an export say."""
    config = stage.config
    facts = {
        "stage_id": stage.id,
        "kind": stage.kind.name,
        "label": plan.describe(stage),
        "inputs": sorted(upstream.id for upstream in stage.inputs.values()),
        "method": config["method"]["name"],
    }
    task = config.get("task", {})
    facts |= {key: task[key] for key in ("dataset", "split") if key in task}
    return facts | {key: config[key] for key in ("seed", "member") if key in config}


def plan_of(record: Mapping[str, Any]) -> Plan:
    """The plan that a record was made from.

    Raises:
        ConfigError: this version of the code makes other stages of its trials.
    """
    try:
        splits = splits_in(record)
        spec = parse_spec(record["spec"], record["sweep"], splits)
        trials = [trial_of(facts, record["fingerprints"], splits) for facts in record["trials"]]
        plan = plan_with(spec, record["fingerprints"], trials)
        plan = dataclasses.replace(plan, searches=tuple(record.get("searches", ())))
    except (LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the record of sweep '{record.get('sweep')}' was written by another version "
            f"({type(error).__name__}: {error}). Run the sweep again: it is written anew, and what "
            "is done stays."
        ) from error
    if {stage["stage_id"] for stage in record["stages"]} != set(plan.stages):
        raise ConfigError(
            f"sweep '{record['sweep']}' was run with code {record['code']}, whose stages "
            "differ from this version's. Use that version, or run the sweep again."
        )
    return plan


def trial_of(
    facts: Mapping[str, Any], fingerprints: Mapping[str, str], splits: Splits
) -> PlannedTrial:
    """The trial of which a record says `facts`."""
    split = splits(facts["dataset"], facts["protocol"], facts["split"], beforehand)
    imported = Imported(**facts["imported"]) if "imported" in facts else None
    if imported and imported.what == SCORES:
        return with_scores(facts["method"], split, fingerprints, imported)
    method = method_named(facts["method"])
    own = {field.name for field in dataclasses.fields(method.Config)}
    entry = Resolved(
        method=method,
        config=build(
            method.Config, {key: v for key, v in facts["hyperparameters"].items() if key in own}
        ),
        backbone=facts["backbone"],
        training=build(Training, facts["training"]),
        protocol=facts["protocol"],
        hyperparameters=facts["hyperparameters"],
    )
    if imported:
        return with_weights(entry, split, facts["seed"], fingerprints, imported)
    kept = facts.get("inner")
    inner = kept and InnerSplit(tuple(kept["hidden"]), kept["fraction"])
    ends = tuple(facts.get("ends", ()))
    trial = plan_trial(entry, split, facts["seed"], fingerprints, inner, ends)
    said = {name: facts[name] for name in ("purpose", "grown", "selection")}
    return dataclasses.replace(trial, **said)


def grown_trials(record: Mapping[str, Any] | None, plan: Plan) -> list[PlannedTrial]:
    """Trials that were added while an earlier launch of the same spec ran, but for those of
    searches: what they ask for and choose follows from what they were told. And imported ones, for
    which a spec only is the place where they stand.
    """
    if record is None:
        return []
    is_same = same_science(record["spec"]) == same_science(plan.spec.plain())
    grown = [
        trial
        for trial in record["trials"]
        if trial["grown"] and (trial["purpose"], trial["selection"]) == (EVALUATE, UNSELECTED)
        if is_same or ("imported" in trial and trial["dataset"] in plan.spec.datasets)
    ]
    return [trial_of(facts, plan.fingerprints, splits_in(record)) for facts in grown]


def same_science(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's plain values without those that change no result."""
    return {key: value for key, value in spec.items() if key not in ("resources", "budget")}
