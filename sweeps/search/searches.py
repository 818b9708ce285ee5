"""The searches of a sweep: its plan grows by what they ask for, and at last by what they choose."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from osr_core.errors import ConfigError, unknown_name
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search_block import Search
from sweeps.running.outcome import OF_LAUNCH, Outcome
from sweeps.search.budget import Budget
from sweeps.search.candidate import State, average
from sweeps.search.study import Known, Study
from sweeps.search.subject import Subject
from sweeps.store.store import Store


class Searches:
    """Grows a plan (see `launch.conduct.Growth`)."""

    def __init__(self, plan: Plan, store: Store) -> None:
        """Begin, or go on with, all searches of a plan's spec."""
        self._store, budget = store, Budget(store)
        self.studies = [
            Study(subject, store.memories, budget, found_before(subject, store))
            for subject in subjects(plan)
        ]
        self._awaited: dict[str, set[int]] = {}  # by trial, the studies that wait for it
        self._is_evaluated: set[int] = set()

    def __call__(self, plan: Plan, outcome: Outcome | None) -> Plan:
        """The plan once a stage has ended, or at first: with what the searches ask for now."""
        if outcome is not None and not self._note(plan, outcome):
            return plan
        wanted: list[PlannedTrial] = []
        while new := self._advance():
            wanted += new
            self._look([trial.id for trial in new])
        told_over = sum(facts["over"] for facts in plan.searches)
        if not wanted and told_over == sum(study.is_over for study in self.studies):
            return plan
        facts = tuple(study.facts() for study in self.studies)
        return replace(plan.extended(wanted), searches=facts)

    def _advance(self) -> list[PlannedTrial]:
        """What the studies ask for besides what they have asked for."""
        wanted: list[PlannedTrial] = []
        for number, study in enumerate(self.studies):
            asked = study.advance()
            for trial in asked:
                self._awaited.setdefault(trial.id, set()).add(number)
            wanted += asked
            if study.is_over and number not in self._is_evaluated:
                self._is_evaluated.add(number)
                wanted += study.evaluations()
        return wanted

    def _look(self, ids: Iterable[str]) -> None:
        """Note those of new trials that are done already: no stage of theirs will end."""
        for trial_id in self._store.committed(ids):
            self._has_result(trial_id)

    def _note(self, plan: Plan, outcome: Outcome) -> bool:
        """Note what a stage's end says of awaited trials; whether it says anything."""
        if outcome.cause is None:
            return self._has_result(outcome.stage_id)
        if outcome.cause in OF_LAUNCH:
            return False
        trials = [trial for trial in plan.trials_of[outcome.stage_id] if trial.id in self._awaited]
        for trial in trials:
            for number in self._awaited[trial.id]:
                self.studies[number].note(trial.id, str(outcome.reason or outcome.cause))
        return bool(trials)

    def _has_result(self, trial_id: str) -> bool:
        waiting = self._awaited.get(trial_id, set())
        if waiting:
            numbers = self._store.read_commit(trial_id).metrics
            for number in waiting:
                self.studies[number].note(trial_id, numbers)
        return bool(waiting)


def found_before(subject: Subject, store: Store) -> Known:
    """What searches of the sweeps that a block names have found of the same question.

    The same method and dataset, the same rules, and settings that lie in the space.

    Raises:
        ConfigError: a sweep that the store does not have.
    """
    found: Known = []
    search = subject.search
    for name in search.sources:
        if (record := store.sweep(name)) is None:
            known = unknown_name("sweep", name, store.sweeps())
            raise ConfigError(f"search of {search.method}: from: {known}")
        for facts in record.get("searches", ()):
            same = (facts["method"], facts["dataset"]) == (search.method, subject.dataset)
            if same and set(search.objective) <= set(facts["rules"]):
                found += [
                    (each["params"], [average(each["values"][rule]) for rule in search.objective])
                    for each in facts["candidates"]
                    if each["state"] == State.COMPLETE and is_in(search, each["params"])
                ]
    return found


def is_in(search: Search, params: Mapping[str, Any]) -> bool:
    """Whether settings name just what counts in a search's space, within its bounds."""
    settings = {**search.fixed, **params}
    counts = {d.name: d for d in search.space if d.is_active(settings)}
    return counts.keys() == params.keys() and all(
        d.contains(params[name]) for name, d in counts.items()
    )


def subjects(plan: Plan) -> list[Subject]:
    """What the searches of a plan's spec are about, each on each dataset."""
    spec = plan.spec
    return [
        Subject(spec, search, dataset, plan.fingerprints)
        for dataset in spec.datasets
        for search in spec.searches
    ]
