"""Which settings of a search mattered, by functional analysis of variance.

A random forest is fitted to the candidates' values over the space; a setting's importance is the
share of the forest's variance that it explains alone (Hutter, Hoos and Leyton-Brown, ICML 2014).
"""

import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from analysis.exports.searches import Candidate, Search, choices_in

FEWEST = 4  # complete candidates: of fewer a forest tells nothing

optuna.logging.set_verbosity(optuna.logging.ERROR)


def importances(search: Search) -> dict[str, float]:
    """Shares in [0, 1] of the settings that all complete candidates have, largest first.

    What settings explain only together is in none of them, so they add up to at most 1. Empty
    where candidates are too few, or all equally good.
    """
    complete = [each for each in search.candidates if each.state == "complete"]
    if len(complete) < FEWEST or len({each.mean(search.select) for each in complete}) == 1:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials([_trial(search, each) for each in complete])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = FanovaImportanceEvaluator(seed=0)
        return get_param_importances(study, evaluator=evaluator, normalize=False)


def _trial(search: Search, candidate: Candidate) -> optuna.trial.FrozenTrial:
    space = {name: search.space[name] for name in candidate.params}
    return create_trial(
        params={name: _told(space[name], value) for name, value in candidate.params.items()},
        distributions={name: _distribution(each) for name, each in space.items()},
        value=candidate.mean(search.select),
    )


def _told(dimension: Any, value: Any) -> Any:
    choices = choices_in(dimension)
    return value if choices is None else choices.index(value)


def _distribution(dimension: Any) -> BaseDistribution:
    """Steps aside: a point of one's own may lie between them."""
    choices = choices_in(dimension)
    if choices is not None:
        return CategoricalDistribution(tuple(range(len(choices))))
    low, high, log = dimension["low"], dimension["high"], dimension.get("log", False)
    of = IntDistribution if isinstance(low, int) else FloatDistribution
    return of(low, high, log=log)
