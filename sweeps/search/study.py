"""One search of one method on one dataset, as a pure function of what its trials have found.

Candidate n is asked once every candidate before n - lag + 1 is decided, and knows exactly their
results; whether it is pruned depends on these and on its own numbers. So the same search goes the
same way on any number of workers, and after any crash.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from osr_core.errors import ConfigError
from sweeps.planning.plan import PlannedTrial
from sweeps.planning.rules import RULES, rule_of, rung_of
from sweeps.search.budget import Budget
from sweeps.search.candidate import Candidate, State, best
from sweeps.search.pruning import FEWEST, is_hopeless
from sweeps.search.sampling import Sampling
from sweeps.search.subject import Steps, Subject
from sweeps.store.memories import Memories

Known = list[tuple[Mapping[str, Any], Sequence[float]]]  # settings, and a number per objective
Before = Callable[[], Known]


class Study:
    """Asks candidates, notes what their trials find, drops the hopeless and chooses."""

    def __init__(
        self, subject: Subject, memories: Memories, budget: Budget, before: Before
    ) -> None:
        """`before` gives what searches of earlier sweeps have found of the same question."""
        self.subject, self._memories, self._budget = subject, memories, budget
        self.search = subject.search
        self.id = subject.identity
        self.candidates: list[Candidate] = []
        self._steps: list[Steps] = []  # by candidate
        self._asked_for: list[list[PlannedTrial]] = []  # by candidate
        self._sampling = Sampling(self.search, subject.draws)
        self._num_told, self._num_counted = 0, 0  # candidates: to the sampler, for the budget
        self._found: dict[str, Mapping[str, float] | str] = {}  # by trial: numbers, or why none
        for params, means in memories.begin(self.id, before):
            self._sampling.learn(params, means)
        self._asked, self._told = memories.history(self.id)
        self._first = subject.first_points()
        self._is_out_of_budget = False
        self._said: dict[int, dict[str, Any]] = {}  # by number, the facts of decided candidates

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
            if candidate.state == State.RUNNING:
                wanted += self._go_on(candidate)
        while self._may_ask():
            candidate = self._ask()
            self._asked_for.append(self._begin(candidate))
            wanted += self._asked_for[candidate.number]
        return wanted

    @property
    def num_decided(self) -> int:
        """How many candidates have ended, well or not."""
        return sum(each.state != State.RUNNING for each in self.candidates)

    @property
    def is_over(self) -> bool:
        """Whether every candidate is decided and no more are asked."""
        has_all = len(self.candidates) == self.search.options.candidates or self._is_out_of_budget
        return has_all and self.num_decided == len(self.candidates)

    @property
    def chosen(self) -> list[Candidate]:
        """The candidates that go on to the evaluation, best first; none before the end."""
        options = self.search.options
        return best(self.candidates, options.select, options.top) if self.is_over else []

    def selection(self, rank: int) -> str:
        """How the settings of that rank, counted from 0, were chosen, for a table's header."""
        place = f"number {rank + 1}" if rank else "best"
        rule, looks_at = self.search.options.select, self.search.looks_at
        num = len(self.candidates)
        return f"{rule} ({looks_at}), {place} of {num} candidate{'s' * (num != 1)}"

    def trials(self) -> list[PlannedTrial]:
        """All that was asked for so far, by the candidates' numbers, and the chosen ones' own."""
        asked = [trial for each in self.candidates for trial in self._asked_for[each.number]]
        for rank, candidate in enumerate(self.chosen):
            asked += self.subject.evaluations(candidate.params, self.selection(rank))
        return asked

    @property
    def awaited(self) -> set[str]:
        """The ids of trials whose numbers are wanted."""
        running = [each.number for each in self.candidates if each.state == State.RUNNING]
        return {trial.id for number in running for trial in self._asked_for[number]}

    # -- one candidate ---------------------------------------------------------------------------

    def _known(self, number: int) -> Sequence[Candidate]:
        """The candidates whose results number `number` may look at."""
        return self.candidates[: max(0, number - self.search.options.lag + 1)]

    def _may_ask(self) -> bool:
        number = len(self.candidates)
        if number >= self.search.options.candidates or self._is_out_of_budget:
            return False
        known = self._known(number)
        if any(each.state == State.RUNNING for each in known):
            return False
        for each in known[self._num_counted :]:
            self._budget.count(self._stages(each))
        self._num_counted = len(known)
        if number not in self._asked:
            self._is_out_of_budget = self._budget.is_spent(self.search.options)
        return not self._is_out_of_budget

    def _stages(self, candidate: Candidate) -> Iterator[str]:
        """The ids of all stages that gave a candidate its numbers."""
        for step in self._steps[candidate.number][: candidate.steps_done]:
            for trial in step.values():
                yield from (stage.id for stage in trial.score.walk())

    def _ask(self) -> Candidate:
        number = len(self.candidates)
        for candidate in self._known(number)[self._num_told :]:
            self._sampling.tell(candidate)
            self._num_told += 1
        params = self._asked.get(number)
        if params is None and number < len(self._first):
            params = dict(self._first[number])
        if params is None:
            params = self._sampling.suggest()
        else:
            self._sampling.take(params)
        if number not in self._asked:
            params = self._memories.ask(self.id, number, params)
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
        candidate.values = {each: [] for measured in self.search.measures for each in measured}
        told = self._told.get(candidate.number)
        if told is not None:
            candidate.state = State(told["state"])
            candidate.values, candidate.reason = told["values"], told["reason"]
            return [trial for step in steps[: candidate.steps_done] for trial in step.values()]
        at_once = steps[:1] if self._may_prune(candidate) else steps
        return [trial for step in at_once for trial in step.values()]

    def _may_prune(self, candidate: Candidate) -> bool:
        if self.search.options.prune == "none":
            return False
        complete = [c for c in self._known(candidate.number) if c.state == State.COMPLETE]
        return len(complete) > FEWEST

    def _go_on(self, candidate: Candidate) -> list[PlannedTrial]:
        """Take what a candidate's next steps have found; the trials of the step after them."""
        steps, moved = self._steps[candidate.number], False
        while candidate.state == State.RUNNING:
            step = steps[candidate.steps_done]
            found = {each: self._found.get(trial.id) for each, trial in step.items()}
            if reasons := [each for each in found.values() if isinstance(each, str)]:
                self._decide(candidate, State.FAILED, reasons[0])
            elif any(each is None for each in found.values()):
                break
            else:
                self._take(candidate, found)
                moved = True
        if not moved or candidate.state != State.RUNNING or not self._may_prune(candidate):
            return []
        asked = list(steps[candidate.steps_done].values())
        self._asked_for[candidate.number] += asked
        return asked

    def _take(self, candidate: Candidate, found: Mapping[str, Any]) -> None:
        numbers = {each: RULES[rule_of(each)].value(value) for each, value in found.items()}
        for measure, number in numbers.items():
            if not math.isfinite(number):
                self._decide(candidate, State.FAILED, f"{measure} is {number}")
                return
        for measure, number in numbers.items():
            candidate.values[measure].append(number)
        measure, known = next(iter(numbers)), self._known(candidate.number)
        if candidate.steps_done == len(self._steps[candidate.number]):
            self._decide(candidate, State.COMPLETE)
        elif self.search.options.prune != "none" and is_hopeless(
            candidate.values[measure], known, measure
        ):
            [leader] = best(known, rule_of(measure))
            self._decide(candidate, State.PRUNED, behind(leader, candidate, measure))

    def _decide(self, candidate: Candidate, state: State, reason: str = "") -> None:
        """Tell it; where another sweep with this search has told before, what that said counts."""
        candidate.state, candidate.reason = state, reason
        told = self._memories.tell(self.id, candidate.number, candidate.told())
        candidate.state, candidate.reason = State(told["state"]), told["reason"]
        candidate.values = told["values"]

    # -- what is said of it ----------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """All that the record says of the search, as plain JSON."""
        options, rule = self.search.options, RULES[self.search.options.select]
        chosen = {candidate.number: rank for rank, candidate in enumerate(self.chosen)}
        return {
            "search_id": self.id,
            "method": self.search.method,
            "dataset": self.subject.dataset,
            "rules": list(self.search.rules),
            "select": rule.name,
            "looks_at": self.search.looks_at,
            "question": self.subject.question,
            "space": {each.name: each.plain() for each in self.search.space},
            "planned": options.candidates,
            "measures": [list(each) for each in self.search.measures],
            "rungs": list(options.rungs),
            "shares": self.subject.shares,
            "over": self.is_over,
            "candidates": [
                self._said_of(candidate) | {"chosen": chosen[candidate.number]}
                if candidate.number in chosen
                else self._said_of(candidate)
                for candidate in self.candidates
            ],
        }

    def _said_of(self, candidate: Candidate) -> dict[str, Any]:
        """A candidate's facts; those of one that is decided are made once."""
        if (said := self._said.get(candidate.number)) is not None:
            return said
        steps = self._steps[candidate.number]
        said = {
            "number": candidate.number,
            "params": dict(candidate.params),
            "chosen": None,
            "trials": [[trial.id for trial in step.values()] for step in steps],
            **candidate.told(),
        }
        if candidate.state != State.RUNNING:
            self._said[candidate.number] = said
        return said


def behind(leader: Candidate, candidate: Candidate, measure: str) -> str:
    """Why a candidate is dropped: "behind candidate 4 on 2 steps, at epoch 30"."""
    met, rung = len(candidate.values[measure]), rung_of(measure)
    at = f", at epoch {rung}" if rung else ""
    return f"behind candidate {leader.number} on {met} step{'s' * (met > 1)}{at}"
