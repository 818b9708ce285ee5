"""Suggestions: candidate n as a pure function of the seed, n and the results known to it.

A study in memory holds every candidate under its number, and a sampler with a seed of its own is
made for each question. So a study that was built anew from the store suggests what the first one
would have suggested. The samplers on offer keep nothing of their own between two questions.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState
from scipy.stats import qmc

from osr_core.identity import seed_for
from sweeps.planning.search_block import Search
from sweeps.planning.search_space import Dimension
from sweeps.search.candidate import Candidate, State

optuna.logging.set_verbosity(optuna.logging.ERROR)
SEEDS = 2**32  # numpy's generators take no larger ones


class Sampling:
    """The questions and answers of one search; numbers are told in order."""

    def __init__(self, search: Search, draws: Any) -> None:
        """`draws` is what every seed is drawn from."""
        self._search, self._draws = search, draws
        self._study = optuna.create_study(
            directions=["maximize"] * len(search.objective), sampler=RandomSampler(seed=0)
        )
        self._trials: list[Trial] = []

    def learn(self, params: Mapping[str, Any], means: Sequence[float]) -> None:
        """Know a result of another search before any candidate is asked."""
        self._study.tell(self._fixed(params), list(means))

    def take(self, params: Mapping[str, Any]) -> None:
        """Know the next candidate, whose settings are given."""
        self._trials.append(self._fixed(params))

    def suggest(self) -> dict[str, Any]:
        """The settings of the next candidate, which is known from now on."""
        number = len(self._trials)
        if self._search.options.sampler == "qmc":
            params = self._spread(number)
            self.take(params)
            return params
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self._sampler(seed_for("ask", self._draws, number) % SEEDS)
        trial, params = self._ask()
        self._trials.append(trial)
        return params

    def tell(self, candidate: Candidate) -> None:
        """Know how a candidate went."""
        trial = self._trials[candidate.number]
        if candidate.state == State.COMPLETE:
            means = [candidate.mean(rule) for rule in self._search.objective]
            self._study.tell(trial, means)
        elif candidate.state == State.PRUNED:
            for step, so_far in enumerate(candidate.course(self._search.objective[0])):
                trial.report(so_far, step)
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def _sampler(self, seed: int) -> BaseSampler:
        if self._search.options.sampler == "tpe":
            return TPESampler(seed=seed)
        if self._search.options.sampler == "gp":
            return GPSampler(seed=seed, deterministic_objective=True)
        return RandomSampler(seed=seed)

    def _fixed(self, params: Mapping[str, Any]) -> Trial:
        """A trial with settings that are given."""
        fixed = {d.name: _told(d, params[d.name]) for d in self._search.space if d.name in params}
        self._study.enqueue_trial(fixed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a point of one's own may lie between the steps
            return self._ask()[0]

    def _ask(self) -> tuple[Trial, dict[str, Any]]:
        """Ask for all settings in the order of the space; those that do not count are left out."""
        trial = self._study.ask()
        return trial, self._drawn(partial(_asked, trial))

    def _spread(self, number: int) -> dict[str, Any]:
        """Point `number` of a scrambled Halton sequence over the space."""
        seed = seed_for("spread", self._draws) % SEEDS
        sequence = qmc.Halton(len(self._search.space), scramble=True, seed=seed)
        point = sequence.fast_forward(number).random(1)[0].tolist()
        share = dict(zip((d.name for d in self._search.space), point, strict=True))
        return self._drawn(lambda dimension: at(dimension, share[dimension.name]))

    def _drawn(self, draw: Callable[[Dimension], Any]) -> dict[str, Any]:
        """A value of each dimension that counts beside those before it."""
        params: dict[str, Any] = {}
        for dimension in self._search.space:
            if dimension.is_active({**self._search.fixed, **params}):
                params[dimension.name] = draw(dimension)
        return params


def _asked(trial: Trial, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return dimension.choices[trial.suggest_categorical(name, range(len(dimension.choices)))]
    if dimension.is_whole:
        step = int(dimension.step or 1)
        return trial.suggest_int(name, int(low), int(high), step=step, log=dimension.log)
    return trial.suggest_float(name, low, high, step=dimension.step, log=dimension.log)


def _told(dimension: Dimension, value: Any) -> Any:
    """A setting's value as the study holds it: of a choice, its position."""
    return dimension.choices.index(value) if dimension.choices else value


def at(dimension: Dimension, share: float) -> Any:
    """The value of a dimension at a share in [0, 1) of its range."""
    if dimension.choices:
        return dimension.choices[int(share * len(dimension.choices))]
    low, high = dimension.low, dimension.high
    if dimension.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return min(int(high), max(int(low), round(value))) if dimension.is_whole else value
    if dimension.is_whole or dimension.step is not None:
        step = dimension.step or 1
        value = low + step * int(share * (math.floor((high - low) / step) + 1))
        return int(value) if dimension.is_whole else value
    return low + share * (high - low)
