"""A plan that goes on while it runs, stage by stage in the order in which they ended."""

from collections import deque
from collections.abc import Callable

from osr_core.stage import Stage
from sweeps.launch.growing_record import GrowingRecord
from sweeps.launch.state import Launch
from sweeps.planning.plan import Plan, remaining
from sweeps.running.outcome import Outcome

Growth = Callable[[Plan, Outcome | None], Plan]
"""The plan as it goes on, at first and whenever a stage has ended.

After an UnreachableError it is asked the same once more.
"""


class Growing:
    """Lets a launch's plan grow by the ends of its stages.

    What a store that does not answer has kept from being done is done by the next call.
    """

    def __init__(self, launch: Launch, growth: Growth | None) -> None:
        self._launch, self._growth = launch, growth
        self._record = GrowingRecord(launch.store, launch.code)
        self._ends: deque[Outcome] = deque()  # by which the plan has not gone on yet
        self._next: Plan | None = None  # what the first of them makes of it, until the store has it

    @property
    def is_behind(self) -> bool:
        """Whether a stage has ended by which the plan has not gone on yet."""
        return bool(self._ends)

    def add(self, outcome: Outcome) -> None:
        """A stage has ended."""
        if self._growth is not None:
            self._ends.append(outcome)

    def go_on(self) -> list[Stage] | None:
        """Let the plan grow by the first end that is left, and its record with it: the stages to
        run besides. None: the plan is as it was.
        """
        assert self._growth is not None
        launch, before = self._launch, self._launch.plan
        self._next = self._next or self._growth(before, self._ends[0])
        todo = None if self._next is before else self._keep(before, self._next)
        launch.plan, self._next = self._next, None
        self._ends.popleft()
        return todo

    def _keep(self, before: Plan, plan: Plan) -> list[Stage]:
        launch = self._launch
        launch.store.leases.check(launch.fence)
        self._record.save(before, plan)
        done = launch.store.committed(plan.stages.keys() - before.stages.keys())
        return [stage for stage in remaining(plan, done) if stage.id not in before.stages]
