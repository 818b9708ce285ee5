"""What rows, trials and recipes are called: in tables, in their headers and below figures.

A row is a method and those of its hyperparameters in which its trials on a dataset differ: "CAC",
or "CAC (alpha=5)" and "CAC (alpha=10)". A hyperparameter that merely follows the dataset makes no
rows of its own. A protocol that is not the sweep's is always said.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.exports.schema import Plan, PlannedTrial
from osr_core.identity import canonical_json


def row_labels(planned: Iterable[PlannedTrial]) -> dict[str, str]:
    """The row of each trial by trial_id."""
    groups: dict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for trial in planned:
        groups[trial.title, trial.dataset].append(trial)
    return {
        trial.trial_id: _label(trial, varied)
        for trials in groups.values()
        for varied in [_varied(trials)]
        for trial in trials
    }


def recipe_label(plan: Plan) -> str:
    """A recipe and what the spec changes of it: "common, changed (training.epochs=2)"."""
    return f"{plan.recipe}, changed ({in_words(plan.changes)})" if plan.changes else plan.recipe


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a spec has them: "alpha=5, tuplet=true"."""
    return ", ".join(f"{name}={_text(value)}" for name, value in settings.items())


def _varied(trials: list[PlannedTrial]) -> list[str]:
    """Names of the hyperparameters in which the trials differ."""
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    return [
        name
        for name in names
        if len({canonical_json(trial.hyperparameters.get(name)) for trial in trials}) > 1
    ]


def _label(trial: PlannedTrial, varied: list[str]) -> str:
    own = trial.hyperparameters
    shown = [name for name in varied if name != "protocol"] + ["protocol"]
    settings = in_words({name: own[name] for name in shown if name in own})
    return f"{trial.title} ({settings})" if settings else trial.title


def _text(value: Any) -> str:
    """5 for 5.0 as a spec has it, words without quotes, everything else as JSON."""
    return value if isinstance(value, str) else canonical_json(value).removesuffix(".0")
