"""What the searches of a plan can cost at most, before anything starts.

Every candidate on every split and seed, and the chosen ones trained anew, each as much as the
settings of the space that cost most; a stage that all of them share counts once. Stages that only
some share, pruning and budgets make it less.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from osr_core.errors import ConfigError
from osr_core.kinds import epochs_of
from osr_core.stage import Stage
from sweeps.planning.cost import cost
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.search.subject import Subject, subjects


def at_most(plan: Plan) -> list[dict[str, Any]]:
    """A row for each search of a plan's spec, on each dataset."""
    return [_row(subject) for subject in subjects(plan)]


def _row(subject: Subject) -> dict[str, Any]:
    options, params = subject.search.options, most_costly(subject)
    steps = subject.trials(params)
    stages = repeated(subject, params, searched, options.candidates)
    stages += repeated(subject, params, evaluated, options.top)
    fits = [stage for stage in stages if stage.kind.trains]
    return {
        "method": subject.search.method,
        "dataset": subject.dataset,
        "candidates": options.candidates,
        "steps": len(steps) // len(subject.search.measures),
        "fits": sum(is_whole(stage) for stage in fits),
        "epochs": round(sum(stage.effort for stage in fits)),
        **cost(stages),
    }


def searched(subject: Subject, params: Mapping[str, Any]) -> list[Stage]:
    """The stages by which a candidate is measured."""
    return _stages(trial for step in subject.trials(params) for trial in step.values())


def evaluated(subject: Subject, params: Mapping[str, Any]) -> list[Stage]:
    """The stages of a chosen candidate that is trained anew."""
    return _stages(subject.evaluations(params, ""))


def repeated(
    subject: Subject,
    params: Mapping[str, Any],
    made: Callable[[Subject, Mapping[str, Any]], list[Stage]],
    times: int,
) -> list[Stage]:
    """The stages of so many candidates that cost as much as this one.

    What no setting of the space changes by itself all of them share. Where some settings count only
    beside others, that is not known.
    """
    stages, space = made(subject, params), subject.search.space
    shared = set() if any(each.when for each in space) else {stage.id for stage in stages}
    for dimension in space:
        for value in dimension.extremes:
            with suppress(ConfigError):
                other = made(subject, {**params, dimension.name: value})
                shared &= {stage.id for stage in other}
    return [stage for stage in stages for _ in range(1 if stage.id in shared else times)]


def most_costly(subject: Subject) -> dict[str, Any]:
    """The settings of the space that cost most, found one after the other."""
    params: dict[str, Any] = {}
    for dimension in subject.search.space:
        if not dimension.is_active({**subject.search.fixed, **params}):
            continue
        found: list[tuple[float, float]] = []
        values = []
        for value in dimension.extremes:
            with suppress(ConfigError):  # values that do not go together cost nothing
                found.append(_cost_of(subject, {**params, dimension.name: value}))
                values.append(value)
        if found:
            params[dimension.name] = values[found.index(max(found))]
    return params


def _cost_of(subject: Subject, params: dict[str, Any]) -> tuple[float, float]:
    """FLOPs, where they are known, and epochs of a candidate on one split."""
    stages = _stages(subject.trials(params)[-1].values())
    return cost(stages)["flops"] or 0.0, sum(each.effort for each in stages if each.kind.trains)


def is_whole(fit: Stage) -> bool:
    """Whether a stage that trains ends where its schedule does; else it is a part of a fit."""
    return "leg" not in fit.config or epochs_of(fit.config).stop == fit.config["training"]["epochs"]


def _stages(trials: Iterable[PlannedTrial]) -> list[Stage]:
    """The stages of some trials, each once."""
    found = {stage.id: stage for trial in trials for stage in trial.score.walk()}
    return list(found.values())
