"""Trials of which something was made elsewhere: the network, or the scores themselves."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from osr_core.data.splits import ClassSplit
from osr_core.errors import ConfigError, unknown_name
from osr_core.imported import MARK, Imported
from osr_core.kinds import IMPORT_SCORES
from osr_core.methods import METHODS
from osr_core.stage import Stage
from osr_core.trial import Trial, test_of
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.settings import Resolved, resolve
from sweeps.planning.spec import SweepSpec


def entries_of(spec: SweepSpec, split: ClassSplit, methods: Collection[str]) -> list[Resolved]:
    """The entries of a spec for which a network is imported: those of `methods`, or all.

    Searches are left out: no settings are chosen for a network that is trained already.

    Raises:
        ConfigError: a method that the spec lacks.
    """
    if wrong := [name for name in methods if name not in spec.grids]:
        raise ConfigError([unknown_name("method of the spec", each, spec.grids) for each in wrong])
    return [
        resolve(spec, split.benchmark, name, settings)
        for name, points in spec.grids.items()
        for settings in points
        if not methods or name in methods
    ]


def with_weights(
    entry: Resolved,
    split: ClassSplit,
    seed: int,
    fingerprints: Mapping[str, str],
    imported: Imported,
) -> PlannedTrial:
    """The trial of an entry whose network is imported; it has no schedule.

    Raises:
        ConfigError: a method that trains more than one network; one that fits something after its
            training, where nobody says whence that comes, or where it cannot come from the file.
    """
    if not entry.method.fits_after_training():  # nothing is told of what it has not
        imported = dataclasses.replace(imported, anchors="")
    trial = Trial(
        method=entry.method,
        config=entry.config,
        split=split,
        fingerprints=fingerprints,
        backbone=entry.backbone,
        training=entry.training,
        seed=seed,
        imported=imported,
    )
    return PlannedTrial(
        method=entry.method.name,
        title=imported.title(entry.method.title),
        hyperparameters=entry.hyperparameters,
        backbone=entry.backbone,
        training={},
        split=split,
        seed=seed,
        score=trial.score,
        grown=True,
        imported=imported,
    )


def with_scores(
    method: str, split: ClassSplit, fingerprints: Mapping[str, str], imported: Imported
) -> PlannedTrial:
    """The trial whose scores are imported; `method` may be one that nobody has here."""
    config = {
        "method": {"name": method},
        "test": test_of(split, fingerprints),
        "file": imported.sha256,
    }
    return PlannedTrial(
        method=method,
        title=imported.title(METHODS[method].title if method in METHODS else method),
        hyperparameters={},
        backbone={"name": MARK},
        training={},
        split=split,
        seed=0,
        score=Stage(kind=IMPORT_SCORES, config=config),
        grown=True,
        imported=imported,
    )


def added_to(plan: Plan, trials: Sequence[PlannedTrial]) -> Plan:
    """A plan with imported trials; one that is there already is told of as it is told of now.

    Raises:
        ConfigError: another import has the place of one in its row.
    """
    there = {place_in_table(trial): trial for trial in plan.trials}
    problems = []
    for trial in trials:
        taken = there.get(place_in_table(trial), trial)
        if taken.id != trial.id and taken.imported:
            problems.append(
                f"sweep '{plan.spec.name}' has '{trial.title}' on {trial.split.id} already, from "
                f"{taken.imported.file}. Tell this one from it with --label."
            )
    if problems:
        raise ConfigError(problems)
    told = {trial.id: trial for trial in trials}  # also of source, licence and label, in no id
    so_far = tuple(told.get(trial.id, trial) for trial in plan.trials)
    return dataclasses.replace(plan, trials=so_far).extended(trials)


def place_in_table(trial: PlannedTrial) -> tuple[str, str, str, str]:
    """What only one imported trial of a sweep may have: its row, and its part of that."""
    split = trial.split
    return trial.title, split.id, split.protocol, str(sorted(trial.hyperparameters.items()))
