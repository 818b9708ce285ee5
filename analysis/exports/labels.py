"""What rows, trials and recipes are called: in tables, in their headers and below figures.

A row is a method and those of its hyperparameters in which its trials on a dataset differ: "CAC",
or "CAC (alpha=5)" and "CAC (alpha=10)". A hyperparameter that merely follows the dataset makes no
rows of its own. A protocol that is not the sweep's is always said, and so is an oracle: a search
that chose the row's settings by test images.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.exports.schema import Plan, PlannedTrial
from analysis.exports.selection import ORACLE, is_oracle
from osr_core.identity import canonical_json
from osr_core.wording import Shortened, in_words

OF_RECIPE = ("training.", "backbone.")  # how a method's changes of its recipe are called


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
    """A recipe and what the spec changes of it and of methods' defaults: "common, changed
    (training.epochs=2; of CAC: alpha=5)".
    """
    changes = changes_label(plan)
    return f"{plan.recipe}, changed ({changes})" if changes else plan.recipe


def changes_label(plan: Plan) -> str:
    """What a spec changes of its recipe and of methods' defaults: "backbone.width=0.25; of CAC:
    alpha=5, training.epochs=2", or "".

    Of one method alone it is what all its trials share: where they differ, their rows say so.
    """
    changes = [in_words(plan.changes)] if plan.changes else []
    of_title: dict[str, list[PlannedTrial]] = defaultdict(list)
    for trial in plan.trials:
        of_title[trial.title].append(trial)
    for title, trials in of_title.items():
        shared = {
            name: value
            for name, value in own_changes(
                trials[0].hyperparameters, plan.defaults.get(trials[0].method, {})
            ).items()
            if all(trial.hyperparameters.get(name) == value for trial in trials)
        }
        short = {name: Shortened(())(value) for name, value in shared.items()}
        changes += [f"of {title}: {in_words(short)}"] if shared else []
    return "; ".join(changes)


def own_changes(hyperparameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of a method that change its recipe or are not its defaults, as far as these
    are known: {"backbone.width": 0.25, "alpha": 5}.
    """
    return {
        name: value
        for name, value in hyperparameters.items()
        if name.startswith(OF_RECIPE) or value != defaults.get(name, value)
    }


def _varied(trials: list[PlannedTrial]) -> dict[str, Shortened]:
    """The hyperparameters in which the trials differ, and how their values are shown."""
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    return {
        name: Shortened(trial.hyperparameters.get(name) for trial in trials)
        for name in names
        if len({canonical_json(trial.hyperparameters.get(name)) for trial in trials}) > 1
    }


def _label(trial: PlannedTrial, varied: Mapping[str, Shortened]) -> str:
    own = trial.hyperparameters
    shown = {name: show(own[name]) for name, show in varied.items() if name in own}
    if "protocol" in own:
        shown["protocol"] = shown.pop("protocol", own["protocol"])
    words = [in_words(shown)] if shown else []
    words += [ORACLE] if is_oracle(trial.selection) else []
    return f"{trial.title} ({', '.join(words)})" if words else trial.title
