"""The searches of a sweep: its plan grows by what they ask for, and at last by what they choose."""

from collections.abc import Iterable
from dataclasses import replace

from osr_core.data.inner_splits import FEWEST_LEFT, num_hidden
from osr_core.errors import ConfigError
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.rules import RULES
from sweeps.running.outcome import OF_LAUNCH, Outcome
from sweeps.search.study import Study, Subject
from sweeps.store.store import Store


class Searches:
    """Grows a plan (see `launch.conduct.Growth`)."""

    def __init__(self, plan: Plan, store: Store) -> None:
        """Begin, or go on with, all searches of a plan's spec."""
        self._store = store
        self.studies = [Study(subject, store.memories) for subject in subjects(plan)]
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


def subjects(plan: Plan) -> list[Subject]:
    """What the searches of a plan's spec are about, each on each dataset.

    Raises:
        ConfigError: a split with fewer known classes than a rule needs.
    """
    spec = plan.spec
    found = [
        Subject(spec, search, dataset, plan.fingerprints)
        for dataset in spec.datasets
        for search in spec.searches
    ]
    if problems := [problem for subject in found for problem in too_few_classes(subject)]:
        raise ConfigError(list(dict.fromkeys(problems)))
    return found


def too_few_classes(subject: Subject) -> Iterable[str]:
    """A sentence for each split whose known classes do not suffice for the search's rules."""
    spec, search, conduct = subject.spec, subject.search, subject.search.conduct
    if not any(RULES[name].hides for name in search.rules):
        return
    for index in conduct.splits or spec.splits:
        split = spec.split(subject.dataset, search.protocol or spec.protocol, index)
        if num_hidden(split.num_known, conduct.hidden) < 1:
            yield (
                f"search of {search.method}: rule {conduct.select} hides known classes, and split "
                f"{split.id} has {split.num_known}; it needs {FEWEST_LEFT + 1} at least. Choose "
                "by known_accuracy, or other splits."
            )
