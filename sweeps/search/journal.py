"""Searches as Optuna's own studies in a journal, for programs that read those.

A copy of the moment: nothing is read back, and the store stays the only memory of a search.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from osr_core.wording import in_text
from sweeps.search.candidate import Candidate, State

optuna.logging.set_verbosity(optuna.logging.ERROR)
Facts = Mapping[str, Any]  # what is said of a search or of a candidate
STATES = {
    State.RUNNING: TrialState.RUNNING,
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


def write_journal(path: Path, searches: Iterable[Facts]) -> JournalStorage:
    """A study for each search, a trial for each candidate; candidate n is trial n."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    for facts in searches:
        study = optuna.create_study(
            storage=storage,
            study_name=name_of(facts),
            directions=["maximize"] * len(facts["rules"]),
        )
        study.set_user_attr("rules", list(facts["rules"]))  # one for each value of a trial
        study.set_user_attr("looks at", facts["looks_at"])
        study.add_trials([_trial(facts, each) for each in facts["candidates"]])
    return storage


def name_of(facts: Facts) -> str:
    """What a search is called there."""
    about = f"{facts['method']} on {facts['dataset']} by {facts['select']}"
    return f"{about} ({facts['search_id'][:8]})"


def _trial(facts: Facts, each: Facts) -> FrozenTrial:
    """A candidate; what was measured of it stands among its attributes, by split and seed."""
    state = State(each["state"])
    candidate = Candidate(each["number"], each["params"], each["values"], state)
    dimensions = {name: facts["space"][name] for name in each["params"]}
    rules = facts["rules"]
    so_far = candidate.course(rules[0]) if len(rules) == 1 and each["values"] else ()
    return create_trial(
        state=STATES[state],
        values=[candidate.mean(rule) for rule in rules] if state == State.COMPLETE else None,
        params={name: _value(dimensions[name], value) for name, value in each["params"].items()},
        distributions={name: _distribution(of) for name, of in dimensions.items()},
        intermediate_values=dict(enumerate(so_far)),
        user_attrs={
            **each["values"],
            **({"why": each["reason"]} if each["reason"] else {}),
            **({} if each["chosen"] is None else {"chosen": each["chosen"] + 1}),
        },
    )


def _distribution(dimension: Any) -> BaseDistribution:
    """A range without its steps, between which a point of one's own may lie; or a choice."""
    if (choices := _choices(dimension)) is not None:
        return CategoricalDistribution([_value(dimension, choice) for choice in choices])
    kind = IntDistribution if isinstance(dimension["low"], int) else FloatDistribution
    return kind(dimension["low"], dimension["high"], log=dimension.get("log", False))


def _value(dimension: Any, value: Any) -> Any:
    """A setting's value; of a choice what has no place in a journal is a text."""
    is_plain = _choices(dimension) is None or isinstance(value, bool | int | float | str | None)
    return value if is_plain else in_text(value)


def _choices(dimension: Any) -> Any:
    return dimension.get("choices") if isinstance(dimension, Mapping) else dimension
