"""What the searches of a plan can cost at most, before anything starts.

Every candidate on every split and seed, and the chosen ones trained anew, each as much as the
default settings. Stages that candidates share, pruning and budgets make it less.
"""

from collections.abc import Iterable
from typing import Any

from osr_core.stage import Stage
from sweeps.planning.cost import cost
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.search.subject import Subject, subjects


def at_most(plan: Plan) -> list[dict[str, Any]]:
    """A row for each search of a plan's spec, on each dataset."""
    return [_row(subject) for subject in subjects(plan)]


def _row(subject: Subject) -> dict[str, Any]:
    options, steps = subject.search.options, subject.trials({})
    searched = _stages(trial for step in steps for trial in step.values())
    chosen = _stages(subject.evaluations({}, ""))
    stages = [stage for stage in searched for _ in range(options.candidates)]
    stages += [stage for stage in chosen for _ in range(options.top)]
    fits = [stage for stage in stages if stage.kind.trains]
    return {
        "method": subject.search.method,
        "dataset": subject.dataset,
        "candidates": options.candidates,
        "steps": len(steps),
        "fits": len(fits),
        "epochs": round(sum(stage.effort for stage in fits)),
        **cost(stages),
    }


def _stages(trials: Iterable[PlannedTrial]) -> list[Stage]:
    """The stages of some trials, each once."""
    found = {stage.id: stage for trial in trials for stage in trial.score.walk()}
    return list(found.values())
