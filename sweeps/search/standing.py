"""How the searches of a sweep stand now: its record, and what the store has heard since.

A launch writes the record when a search asks for more. What was told meanwhile lies in the store,
also where the launch has died since. Nothing here needs Optuna.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from typing import Any

from osr_core.identity import upstream
from sweeps.planning.rules import RULES, rule_of
from sweeps.search.candidate import State
from sweeps.store.files import at_once
from sweeps.store.store import Store

Facts = Mapping[str, Any]  # what a record says of a search or of a candidate
Measures = Sequence[Sequence[str]]  # what is measured, one after the other, of each step


def standing(record: Facts, store: Store) -> dict[str, Any]:
    """A sweep's record with its searches as they stand now."""
    return {**record, "searches": [_now(facts, store) for facts in record.get("searches", ())]}


def _now(facts: Facts, store: Store) -> Facts:
    if facts["over"]:
        return facts
    asked, told = store.memories.history(facts["search_id"])
    known = {candidate["number"]: candidate for candidate in facts["candidates"]}
    numbers = sorted(known.keys() | {number for number in asked if number < facts["planned"]})
    candidates = []
    for number in numbers:
        candidate = known.get(number) or _new(number, asked[number], facts["measures"])
        if number in told:
            candidate = {**candidate, **told[number]}
        elif candidate["state"] == State.RUNNING:
            candidate = {**candidate, "values": _met(candidate, facts["measures"], store)}
        candidates.append(candidate)
    return {**facts, "candidates": candidates}


def _new(number: int, params: Any, measures: Measures) -> Facts:
    """A candidate that was asked after the record was written."""
    values: dict[str, list[float]] = {each: [] for measured in measures for each in measured}
    about = {"number": number, "params": params, "chosen": None, "trials": []}
    return {**about, "state": str(State.RUNNING), "values": values, "reason": ""}


def _met(candidate: Facts, measures: Measures, store: Store) -> dict[str, list[float]]:
    """The values of a candidate on its first steps, as far as they are done."""
    values: dict[str, list[float]] = {each: [] for measured in measures for each in measured}
    done = store.committed(trial_id for step in candidate["trials"] for trial_id in step)
    for step, measured in zip(candidate["trials"], cycle(measures), strict=False):
        if not done.issuperset(step):
            break
        numbers = [
            RULES[rule_of(each)].value(store.read_commit(trial_id).metrics)
            for each, trial_id in zip(measured, step, strict=True)
        ]
        if not all(map(math.isfinite, numbers)):
            break
        for each, number in zip(measured, numbers, strict=True):
            values[each].append(number)
    return values


def step_s(record: Facts, facts: Facts, store: Store) -> float | None:
    """The seconds that a step of a search took on average; None where the store does not know.

    All stages behind the search's values count, one that several candidates share once.
    """
    inputs = {stage["stage_id"]: stage["inputs"] for stage in record["stages"]}
    shares = facts["shares"]
    parts = [share - before for before, share in pairwise([0.0, *shares])]
    met, taken = [], 0.0
    for candidate in facts["candidates"]:
        num = sum(map(len, candidate["values"].values())) // len(facts["rules"])
        for trial_ids, part in zip(candidate["trials"][:num], cycle(parts), strict=False):
            met += trial_ids
            taken += part
    stages = store.committed(upstream(met, inputs))
    if not stages:
        return None
    return sum(commit.wall_s for commit in at_once(store.read_commit, sorted(stages))) / taken
