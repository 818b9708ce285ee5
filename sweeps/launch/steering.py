"""What of a launch's stages may begin: by orders of users, canaries and the circuit breaker."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from osr_core.stage import Stage
from sweeps.launch.caution import Breaker, Canaries, method_of
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.running.outcome import Outcome
from sweeps.store.files import StoreError
from sweeps.store.orders import Given

if TYPE_CHECKING:
    from sweeps.running.searcher import StageSearcher


class Steering:
    """Withdraws stages from the searcher, and takes them back when nothing speaks against it."""

    def __init__(
        self,
        launch: Launch,
        progress: SweepProgress,
        searcher: "StageSearcher",
        say: Callable[[str], None],
        todo: Sequence[Stage],
    ) -> None:
        self.launch, self.progress, self.searcher, self.say = launch, progress, searcher, say
        self.given = Given()  # what was ordered when last looked at
        self.held: dict[str, set[str]] = {}  # by method that the breaker has stopped, ids of stages
        self.breaker = Breaker()
        self.canaries = Canaries(launch.plan, todo if launch.careful else ())
        if waiting := self.canaries.waiting:
            searcher.withdraw(waiting)
            first = ", ".join(sorted(self.canaries.first))
            say(f"one trial of each method goes first ({first}); {len(waiting)} stages wait for it")

    def obey(self, given: Given) -> None:
        """Hand out less or more than before; a cancelled stage may be queued again meanwhile."""
        self.searcher.cancel_queued(given.cancelled)
        if given == self.given:
            return
        # First: an order that cannot be taken away now would be heeded once more after a failure.
        self.launch.store.orders.heeded(self.launch.fence, sorted(given.retried))
        before, self.given = self.given, given
        self.searcher.paused = given.paused
        if given.paused != before.paused:
            resume = f"osr resume {self.launch.plan.spec.name}"
            self.say(f"paused, until `{resume}`" if given.paused else "going on")
        if gone := self.searcher.withdraw(given.cancelled - before.cancelled):
            self.say(f"{counted(gone)} cancelled")
            self.progress.skip(gone)
            self._free(self.canaries.ended(gone))
        released = (before.held - given.held) & self.held.keys()
        self.breaker.forget(released)
        back = self._revive(set(given.retried).union(*map(self.held.pop, released)))
        if back:
            self.say(f"{counted(back)} to be tried again")
            self.progress.revive(back)

    def ended(self, stage: Stage, outcome: Outcome, skipped: Collection[str]) -> None:
        """A stage has ended, and with it those that need it, if not well."""
        is_canary = self.canaries.is_canary(stage.id)
        why = self.breaker.trips(stage, outcome, is_canary=is_canary)
        if why is not None and (method := method_of(stage)) not in self.held:
            self._hold(method, why)
        self._free(self.canaries.ended([stage.id, *skipped]))

    def held_back(self, stage: Stage, skipped: Collection[str]) -> None:
        """A stage that was handed out before its method was held has not begun."""
        self._keep(method_of(stage), [stage.id, *skipped])

    def added(self, stages: Iterable[Stage]) -> None:
        """The plan has got stages meanwhile."""
        for stage in stages:
            if (method := method_of(stage)) in self.held:
                self._keep(method, self.searcher.withdraw([stage.id]))

    def _hold(self, method: str, why: str) -> None:
        """Let nothing more of a method begin."""
        launch, sweep = self.launch, self.launch.plan.spec.name
        launch.why_held[method] = f"{why} (`osr retry {sweep} --method {method}` goes on)"
        self.say(f"no more of {method} begins: {launch.why_held[method]}")
        with suppress(StoreError):  # it holds in this launch all the same
            launch.store.orders.hold(launch.fence, method, launch.why_held[method])
            self.given = replace(self.given, held=self.given.held | {method})
        self.held[method] = set()
        own = [each.id for each in launch.plan.stages.values() if method_of(each) == method]
        self._keep(method, self.searcher.withdraw(own))

    def _keep(self, method: str, ids: Collection[str]) -> None:
        """Stages do not begin, since a method is held."""
        self.held[method].update(ids)
        self.launch.not_begun |= dict.fromkeys(ids, method)
        self.progress.skip(ids)

    def _free(self, ids: set[str]) -> None:
        """Stages need not wait for a canary any more; other things may speak against them."""
        back = set(self._revive(ids))
        for stage_id in ids - back:
            if (method := self._method(stage_id)) in self.held:
                self._keep(method, [stage_id])
            else:
                self.progress.skip([stage_id])

    def _revive(self, ids: Collection[str]) -> list[str]:
        """Take stages back but for those against which something speaks."""
        kept = self.given.cancelled.union(self.canaries.waiting, *self.held.values())
        wanted = {each for each in ids if self._method(each) not in self.held} - kept
        back = self.searcher.revive(wanted) if wanted else []
        again = {*self.searcher.withdraw(kept.intersection(back))}  # they came along with an input
        back = [stage_id for stage_id in back if stage_id not in again]
        for stage_id in back:
            self.launch.not_begun.pop(stage_id, None)
        return back

    def _method(self, stage_id: str) -> str:
        return method_of(self.launch.plan.stages[stage_id])


def counted(ids: Collection[str]) -> str:
    """For people."""
    return f"{len(ids)} stage{'s' * (len(ids) != 1)}"
