"""One search of one method on one dataset, as a pure function of what its trials have found.

Candidate n is asked once every candidate before n - lag + 1 is decided, and knows exactly their
results; whether it is pruned depends on these and on its own numbers. So the same search goes the
same way on any number of workers, and after any crash.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from osr_core.data.inner_splits import inner_split
from osr_core.errors import ConfigError
from osr_core.identity import digest
from sweeps.planning.plan import SEARCH, PlannedTrial, plan_trial
from sweeps.planning.rules import RULES, Rule
from sweeps.planning.search_block import Search
from sweeps.planning.settings import Resolved, resolve
from sweeps.planning.spec import SweepSpec
from sweeps.search.candidate import Candidate, State, best
from sweeps.search.pruning import FEWEST, is_hopeless
from sweeps.search.sampling import Sampling
from sweeps.store.memories import Memories

PASSING = (
    "candidates",
    "top",
    "gpu_hours",
    "wall_hours",
)  # of a block: what does not change its candidates
Steps = list[dict[str, PlannedTrial]]  # of a candidate, by rule, in the order of splits and seeds


@dataclass(frozen=True)
class Subject:
    """What a study searches for: a method's settings in a spec, on one of its datasets."""

    spec: SweepSpec
    search: Search
    dataset: str
    fingerprints: Mapping[str, str]

    def resolved(self, params: Mapping[str, Any]) -> Resolved:
        """The settings of a candidate, the recipe's included."""
        search = self.search
        return resolve(self.spec, self.dataset, search.method, search.settings(params))

    def trials(self, params: Mapping[str, Any]) -> Steps:
        """By which trials a candidate is measured.

        Raises:
            ConfigError: its values do not go together.
        """
        entry, conduct = self.resolved(params), self.search.conduct
        points = [
            (index, seed)
            for index in conduct.splits or self.spec.splits
            for seed in conduct.seeds or self.spec.seeds
        ]
        rules = [RULES[name] for name in self.search.rules]
        return [{rule.name: self._trial(entry, rule, *point) for rule in rules} for point in points]

    def _trial(self, entry: Resolved, rule: Rule, index: int, seed: int) -> PlannedTrial:
        split, conduct = self.spec.split(self.dataset, entry.protocol, index), self.search.conduct
        inner = None
        if not rule.is_oracle:
            hides = conduct.hidden if rule.hides else 0.0
            inner = inner_split(split, hides=hides, fraction=conduct.held_out)
        trial = plan_trial(entry, split, seed, self.fingerprints, inner)
        return replace(trial, purpose=SEARCH)

    def evaluations(self, params: Mapping[str, Any], selection: str) -> Iterator[PlannedTrial]:
        """The trials of a chosen candidate: trained anew on all known classes."""
        entry = self.resolved(params)
        for index in self.spec.splits:
            split = self.spec.split(self.dataset, entry.protocol, index)
            for seed in self.spec.seeds:
                trial = plan_trial(entry, split, seed, self.fingerprints)
                yield replace(trial, selection=selection)

    @property
    def identity(self) -> str:
        """An id that two searches share if they ask the same candidates in the same order."""
        block = self.search.plain()["search"]
        asked = {key: value for key, value in block.items() if key not in PASSING}
        steps = [[trial.id for trial in step.values()] for step in self.trials({})]
        return digest({"dataset": self.dataset, "search": asked, "steps": steps})


class Study:
    """Asks candidates, notes what their trials find, drops the hopeless and chooses."""

    def __init__(self, subject: Subject, memories: Memories) -> None:
        self.subject, self._memories = subject, memories
        self.search = subject.search
        self.id = subject.identity
        self.candidates: list[Candidate] = []
        self._steps: list[Steps] = []  # by candidate
        self._sampling = Sampling(self.search, self.id)
        self._num_told = 0
        self._found: dict[str, Mapping[str, float] | str] = {}  # by trial: numbers, or why none
        self._asked, self._told = memories.history(self.id)
        self.is_out_of_budget = False

    # -- what comes in ---------------------------------------------------------------------------

    def note(self, trial_id: str, found: Mapping[str, float] | str) -> None:
        """A trial has its numbers, or has failed, and why."""
        self._found[trial_id] = found

    # -- what goes out ---------------------------------------------------------------------------

    def advance(self) -> list[PlannedTrial]:
        """The trials that are wanted besides those of earlier answers, once it is known what
        those have found.
        """
        wanted: list[PlannedTrial] = []
        for candidate in self.candidates:
            wanted += self._go_on(candidate)
        while self._may_ask():
            wanted += self._begin(self._ask())
        return wanted

    @property
    def is_over(self) -> bool:
        """Whether every candidate is decided and no more are asked."""
        has_all = len(self.candidates) == self.search.conduct.candidates or self.is_out_of_budget
        return has_all and all(each.state != State.RUNNING for each in self.candidates)

    @property
    def chosen(self) -> list[Candidate]:
        """The candidates that go on to the evaluation, best first; none before the end."""
        conduct = self.search.conduct
        return best(self.candidates, conduct.select, conduct.top) if self.is_over else []

    @property
    def selection(self) -> str:
        """How the settings were chosen, for a table's header."""
        rule = RULES[self.search.conduct.select]
        return f"{rule.name} ({rule.looks_at}), best of {len(self.candidates)} candidates"

    def evaluations(self) -> list[PlannedTrial]:
        """The trials of the chosen candidates."""
        return [
            trial
            for candidate in self.chosen
            for trial in self.subject.evaluations(candidate.params, self.selection)
        ]

    # -- one candidate ---------------------------------------------------------------------------

    def _known(self, number: int) -> Sequence[Candidate]:
        """The candidates whose results number `number` may look at."""
        return self.candidates[: max(0, number - self.search.conduct.lag + 1)]

    def _may_ask(self) -> bool:
        number = len(self.candidates)
        if number >= self.search.conduct.candidates or self.is_out_of_budget:
            return False
        return all(each.state != State.RUNNING for each in self._known(number))

    def _ask(self) -> Candidate:
        number = len(self.candidates)
        for candidate in self._known(number)[self._num_told :]:
            self._sampling.tell(candidate)
            self._num_told += 1
        params = self._asked.get(number)
        if params is None and number < len(self.search.enqueue):
            params = dict(self.search.enqueue[number])
        if params is None:
            params = self._sampling.suggest()
        else:
            self._sampling.take(params)
        if number not in self._asked:
            self._memories.ask(self.id, number, params)
        candidate = Candidate(number, params)
        self.candidates.append(candidate)
        return candidate

    def _begin(self, candidate: Candidate) -> list[PlannedTrial]:
        """The first trials of a candidate, or all that one had which is decided already."""
        try:
            steps = self.subject.trials(candidate.params)
        except ConfigError as error:
            self._steps.append([])
            self._decide(candidate, State.FAILED, str(error))
            return []
        self._steps.append(steps)
        candidate.values = {rule: [] for rule in self.search.rules}
        told = self._told.get(candidate.number)
        if told is not None:
            candidate.state = State(told["state"])
            candidate.values, candidate.reason = told["values"], told["reason"]
            return [trial for step in steps[: candidate.steps_done] for trial in step.values()]
        at_once = steps[:1] if self._may_prune(candidate) else steps
        return [trial for step in at_once for trial in step.values()]

    def _may_prune(self, candidate: Candidate) -> bool:
        if self.search.conduct.prune == "none":
            return False
        complete = [c for c in self._known(candidate.number) if c.state == State.COMPLETE]
        return len(complete) > FEWEST

    def _go_on(self, candidate: Candidate) -> list[PlannedTrial]:
        """Take what a candidate's next steps have found; the trials of the step after them."""
        steps, moved = self._steps[candidate.number], False
        while candidate.state == State.RUNNING:
            step = steps[candidate.steps_done]
            found = {rule: self._found.get(trial.id) for rule, trial in step.items()}
            if reasons := [each for each in found.values() if isinstance(each, str)]:
                self._decide(candidate, State.FAILED, reasons[0])
            elif any(each is None for each in found.values()):
                break
            else:
                self._take(candidate, found)
                moved = True
        if not moved or candidate.state != State.RUNNING or not self._may_prune(candidate):
            return []
        return list(steps[candidate.steps_done].values())

    def _take(self, candidate: Candidate, found: Mapping[str, Any]) -> None:
        numbers = {rule: RULES[rule].value(found[rule]) for rule in self.search.rules}
        for rule, number in numbers.items():
            if not math.isfinite(number):
                self._decide(candidate, State.FAILED, f"{rule} is {number}")
                return
        for rule, number in numbers.items():
            candidate.values[rule].append(number)
        rule, known = self.search.objective[0], self._known(candidate.number)
        if candidate.steps_done == len(self._steps[candidate.number]):
            self._decide(candidate, State.COMPLETE)
        elif self.search.conduct.prune != "none" and is_hopeless(
            candidate.values[rule], known, rule
        ):
            [leader] = best(known, rule)
            behind = f"behind candidate {leader.number} on {candidate.steps_done} splits and seeds"
            self._decide(candidate, State.PRUNED, behind)

    def _decide(self, candidate: Candidate, state: State, reason: str = "") -> None:
        candidate.state, candidate.reason = state, reason
        self._memories.tell(self.id, candidate.number, candidate.told())

    # -- what is said of it ----------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """All that the record says of the search, as plain JSON."""
        conduct, rule = self.search.conduct, RULES[self.search.conduct.select]
        chosen = {candidate.number: rank for rank, candidate in enumerate(self.chosen)}
        return {
            "search_id": self.id,
            "method": self.search.method,
            "dataset": self.subject.dataset,
            "rules": list(self.search.rules),
            "select": rule.name,
            "looks_at": rule.looks_at,
            "planned": conduct.candidates,
            "num_steps": len(self._steps[0]) if self._steps else 0,
            "over": self.is_over,
            "candidates": [
                {
                    "number": candidate.number,
                    "params": dict(candidate.params),
                    "chosen": chosen.get(candidate.number),
                    "trials": [
                        [trial.id for trial in step.values()]
                        for step in self._steps[candidate.number]
                    ],
                    **candidate.told(),
                }
                for candidate in self.candidates
            ],
        }
