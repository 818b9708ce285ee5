"""The searches of a sweep: its plan grows by what they ask for, and at last by what they choose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search_block import Search
from sweeps.running.outcome import OF_LAUNCH, Cause, Outcome
from sweeps.search.budget import Budget
from sweeps.search.candidate import State, average
from sweeps.search.sources import source_records
from sweeps.search.study import Known, Study
from sweeps.search.subject import Subject, subjects
from sweeps.store.files import DamagedError
from sweeps.store.store import Store


class Searches:
    """Grows a plan (see `launch.conduct.Growth`)."""

    def __init__(self, plan: Plan, store: Store) -> None:
        """Begin, or go on with, all searches of a plan's spec."""
        self._base, self._store = plan, store
        self._failed: dict[str, str] = {}  # by trial, why it was given up in this launch
        self._is_torn = False  # whether the store has failed in the middle of a step
        self.studies = self._begin()

    def _begin(self) -> list[Study]:
        """The searches as they are after a crash: the store knows what was asked and told."""
        memories = self._store.memories
        return [
            Study(each, memories, Budget(self._store), partial(found_before, each, self._store))
            for each in subjects(self._base)
        ]

    def __call__(self, plan: Plan, outcome: Outcome | None) -> Plan:
        """The plan once a stage has ended, or at first: with what the searches ask for now.

        Whatever came first, its trials are in one order: the spec's, then those of each search.
        """
        is_torn, self._is_torn = self._is_torn, True
        if is_torn:
            self.studies = self._begin()
        is_first = outcome is None or is_torn
        if outcome is not None and not self._note(plan, outcome) and not is_first:
            self._is_torn = False
            return plan
        grown = self._go_on(plan, is_first)
        self._is_torn = False
        return grown

    def _go_on(self, plan: Plan, wanted: bool) -> Plan:
        """The plan with what the searches ask for; as it is where that is nothing new, unless it
        is `wanted` in any case.
        """
        before = self._stand
        while new := [trial for study in self.studies for trial in study.advance()]:
            wanted = True
            self._look(new)
        if not wanted and before == self._stand:
            return plan
        trials = [trial for study in self.studies for trial in study.trials()]
        known = {trial.id for trial in (*self._base.trials, *trials)}
        # After a begin anew a failed candidate asks for nothing more, and some of it may still run.
        trials += [trial for trial in plan.trials if trial.id not in known]
        facts = tuple(study.facts() for study in self.studies)
        return replace(self._base.extended(trials), searches=facts)

    @property
    def _stand(self) -> list[tuple[int, bool]]:
        """How many candidates of each search are decided, and whether it is over."""
        return [(study.num_decided, study.is_over) for study in self.studies]

    def _look(self, trials: Sequence[PlannedTrial]) -> None:
        """Note what is known already of new trials: no stage of theirs will end any more."""
        awaited = {trial_id for study in self.studies for trial_id in study.awaited}
        ids = [trial.id for trial in trials if trial.id in awaited]
        done = self._store.committed(ids)
        for trial_id in ids:
            if trial_id in done:
                self._has_result(trial_id)
            elif trial_id in self._failed:
                self._tell(trial_id, self._failed[trial_id])

    def _note(self, plan: Plan, outcome: Outcome) -> bool:
        """Note what a stage's end says of awaited trials; whether it says anything.

        One that a user has cancelled, or that could not reach the store, says nothing of its
        candidate, and is tried again by the next launch.
        """
        awaited = {trial_id for study in self.studies for trial_id in study.awaited}
        if outcome.cause is None:
            return outcome.stage_id in awaited and self._has_result(outcome.stage_id)
        if outcome.cause in (*OF_LAUNCH, Cause.CANCELLED, Cause.UNREACHABLE):
            return False
        reason = str(outcome.reason or outcome.cause)
        self._failed |= {trial.id: reason for trial in plan.trials_of[outcome.stage_id]}
        for trial_id in self._failed.keys() & awaited:
            self._tell(trial_id, self._failed[trial_id])
        return bool(self._failed.keys() & awaited)

    def _has_result(self, trial_id: str) -> bool:
        """Note a trial's numbers, unless its marker is broken: then it is made again."""
        try:
            numbers = self._store.read_commit(trial_id).metrics
        except DamagedError:
            self._store.set_aside(trial_id)
            return False
        self._tell(trial_id, numbers)
        return True

    def _tell(self, trial_id: str, found: Mapping[str, float] | str) -> None:
        for study in self.studies:
            study.note(trial_id, found)


def found_before(subject: Subject, store: Store) -> Known:
    """What searches of the sweeps that a block names have found of the same question.

    The same method and question, and settings that lie in the space.

    Raises:
        ConfigError: a sweep that the store does not have.
    """
    found: Known = []
    search = subject.search
    for record in source_records(search, store):
        for facts in record.get("searches", ()):
            same = facts["method"] == search.method and facts["question"] == subject.question
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
