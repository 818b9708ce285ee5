"""What keeps a broken method from spending a cluster: canaries, and a circuit breaker. Pure.

Of a large sweep one trial of each method goes first, the one of least effort; a method's others
begin once it is done. Where the same fault of code has ended two stages of a method, or its
canary's, no more of it begins until a user says so (`osr retry`) or launches again. What a stage
refuses by itself, such as a loss that is not finite, is no fault of code: a setting may cause it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable

from osr_core.stage import Stage
from sweeps.planning.plan import Plan
from sweeps.running.outcome import Outcome

LARGE = 50  # trials without a result
ENOUGH = 2  # stages that one fault has ended


class Breaker:
    """Counts faults by method."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], set[str]] = defaultdict(set)  # ids of stages

    def trips(self, stage: Stage, outcome: Outcome, *, is_canary: bool) -> str | None:
        """Why no more of a stage's method is to begin, if so."""
        if outcome.fault is None:
            return None
        ended = self._ended[method_of(stage), outcome.fault]
        ended.add(stage.id)
        if is_canary:
            return f"{outcome.fault} has ended the trial that went first"
        if len(ended) < ENOUGH:
            return None
        return f"{outcome.fault} has ended {len(ended)} of its stages"

    def forget(self, methods: Collection[str]) -> None:
        """A user has seen to these methods."""
        for key in [key for key in self._ended if key[0] in methods]:
            del self._ended[key]


class Canaries:
    """Which stages wait for the first trial of their method."""

    def __init__(self, plan: Plan, todo: Iterable[Stage]) -> None:
        left = {stage.id: stage for stage in todo}
        ends = [trial for trial in plan.trials if trial.id in left]
        proven = {trial.method for trial in plan.trials if trial.id not in left}
        self.first: dict[str, str] = {}  # by method, the id of its canary
        self._needs: dict[str, set[str]] = defaultdict(set)  # by method, ids of stages
        needed = {trial.id: {up.id for up in trial.score.walk()} & left.keys() for trial in ends}
        effort = {each: sum(left[up].effort for up in needed[each]) for each in needed}
        for trial in sorted(ends, key=lambda trial: effort[trial.id]):  # the plan's order on ties
            self._needs[trial.method] |= needed[trial.id]
            if trial.method not in proven:
                self.first.setdefault(trial.method, trial.id)
        if len(ends) < LARGE:
            self.first = {}
        self._canaries = set().union(*(needed[trial_id] for trial_id in self.first.values()))
        proven_needs = (self._needs[method] for method in self._needs.keys() - self.first.keys())
        self._freed = self._canaries.union(*proven_needs)

    @property
    def waiting(self) -> set[str]:
        """Ids of the stages that no method whose canary is done needs."""
        return set().union(*self._needs.values()) - self._freed

    def is_canary(self, stage_id: str) -> bool:
        """Whether a stage belongs to a trial that goes first, while that has not ended."""
        return bool(self.first) and stage_id in self._canaries

    def ended(self, stage_ids: Collection[str]) -> set[str]:
        """Some stages have ended, well or not; ids of those that need not wait any more."""
        over = [method for method, first in self.first.items() if first in stage_ids]
        before = self.waiting
        for method in over:
            del self.first[method]
            self._freed |= self._needs[method]
        return before - self.waiting


def method_of(stage: Stage) -> str:
    """The name of the method whose code a stage runs."""
    return str(stage.config["method"]["name"])
