"""What a launch does when its stages begin and end, when trials come along, and when to stop."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from osr_core.errors import OsrError
from osr_core.kinds import Kind
from osr_core.results.commit import Commit
from osr_core.stage import Stage
from sweeps.launch.growing import Growing, Growth
from sweeps.launch.meter import Meter
from sweeps.launch.progress import SweepProgress
from sweeps.launch.sharing import Sharing
from sweeps.launch.state import Launch
from sweeps.launch.steering import Steering
from sweeps.running.outcome import Cause, Outcome
from sweeps.store.files import StoreError, UnreachableError
from sweeps.tracking.background import BackgroundTracking

if TYPE_CHECKING:
    from sweeps.running.gauges import Gauges
    from sweeps.running.searcher import StageSearcher

PATIENCE_S = 300.0  # with a store that does not answer, once nothing else is left to do


class LaunchError(OsrError):
    """A launch cannot go on, through no fault of its stages."""

    exit_code = 3


@dataclass
class Conduct:
    """Watches over the stages of one launch (see `running.watcher`)."""

    launch: Launch
    progress: SweepProgress
    tracking: BackgroundTracking
    growth: Growth | None = None
    before: Sequence[tuple[Kind, Commit]] = ()  # finished stages that tell what this one's take
    searcher: "StageSearcher | None" = None  # once Ray is there
    steering: Steering | None = None  # likewise
    sharing: Sharing | None = None  # likewise
    cluster: str | None = None  # what tells one that is shared from others
    gauges: "Gauges | None" = None  # on such a cluster
    take_signals: Callable[[], None] = lambda: None  # back from Tune, which takes SIGUSR1
    claimed: set[str] = field(default_factory=set)  # ids of stages that other sweeps train
    unnoted: list[Outcome] = field(default_factory=list)  # given up, and the store knows not why
    given_up: dict[str, Outcome] = field(default_factory=dict)  # by stage id, in this launch
    silent_since: float | None = None  # when the store did not answer first, since it did
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.launch.plan.spec.budget)
        self.progress.elsewhere = self.claimed
        self.growing = Growing(self.launch, self.growth)

    def begin(self, searcher: "StageSearcher") -> None:
        """Stages are handed out from now on, unless a stop was asked for while Ray started."""
        self.searcher = searcher
        searcher.asking.may_avoid = self.launch.address is not None
        for kind, commit in self.before:
            searcher.asking.know(kind.name, commit.stage["config"], commit.machine)
        todo = [*searcher.stages.values()]
        self.steering = Steering(self.launch, self.progress, searcher, self.waiting, todo)
        self.sharing = Sharing(self.launch, searcher, self.cluster, self.progress.eta)
        if self.launch.stopped:
            searcher.stop()
        self.look()

    def stop(self) -> None:
        """Hand out no more; workers save at the end of their epoch. It is told afterwards: whoever
        reads may be gone.
        """
        was_stopped = self.launch.stopped
        self.hand_out_no_more()
        if not was_stopped:
            self.launch.console.print("stopping: running epochs end and are saved; Ctrl-C: at once")

    def hand_out_no_more(self) -> None:
        """What runs may end."""
        self.launch.stopped = True
        if self.searcher is not None:
            self.searcher.stop()
        with suppress(StoreError):  # of a full disk, on which nothing could be saved either
            self.launch.store.orders.stop(self.launch.fence)

    def stop_if_spent(self) -> None:
        """Hand out no more once the launch has spent what it may, if anything is left to do."""
        why = None if self.launch.stopped else self.meter.why_spent()
        if why is None or (self.searcher is not None and self.searcher.idle):
            return
        self.launch.budget_spent = why
        self.hand_out_no_more()
        with suppress(StoreError):  # as above
            self.launch.store.orders.end_budget(self.launch.fence)
        self.waiting(f"the budget is spent, {why}: running epochs end and are saved")

    def execute(self, todo: Sequence[Stage]) -> None:
        """Run stages on the cluster that this process has joined."""
        from sweeps.running import cluster, gauges  # Ray takes seconds to import

        plan, resources = self.launch.plan, self.launch.resources
        if self.launch.address is None:
            cluster.check_fits(todo, resources)
        else:
            self.cluster, self.gauges = cluster.shared_name(), gauges.Gauges(plan.spec.name)
            says_nothing = resources.gpus is None and resources.gpu_type is None
            if says_nothing and not cluster.machines().have_gpu:
                self.waiting(
                    f"the cluster at {self.launch.address} has no GPU now: fits run on CPUs. To "
                    "wait for GPUs instead, set resources.gpus in the spec"
                )
        cluster.execute(
            todo,
            {stage.id: stage.identity for stage in plan.stages.values()},
            self.launch.workplace,
            resources,
            self.launch.home.ray,
            self,
            wait_s=self.launch.wait_s,
            on_start=self.begin,
        )
        self.note_failures()

    def name(self, stage: Stage) -> str:
        """What people call a stage."""
        return self.launch.plan.describe(stage)

    def may_run(self, stage: Stage) -> bool:
        """Whether no other sweep trains a stage at this moment."""
        if not stage.kind.trains:
            return True
        holder = None
        with suppress(StoreError):  # a claim only saves work
            holder = self.launch.store.claims.holder(stage.id, self.launch.fence)
        if holder is not None and stage.id not in self.claimed:
            self.waiting(f"{self.name(stage)} is trained by sweep {holder}; waiting for it")
            self.claimed.add(stage.id)
        return holder is None

    def handed_out(self, stage: Stage) -> None:
        """A stage waits for its machine."""
        self.progress.handed_out(stage)

    def began(self, stage: Stage) -> None:
        """A stage has its machine."""
        self.launch.started.add(stage.id)
        if self.searcher is not None:
            self.meter.began(stage.id, self.searcher.asked_for(stage).gpus)
        self.progress.began(stage)
        self.tracking.started(stage)

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing; there will be another."""
        store = self.launch.store
        with suppress(UnreachableError):  # workers cannot commit what another driver has taken
            store.leases.check(self.launch.fence)
        self.meter.ended(outcome.stage_id)
        self._drop_claim(outcome.stage_id)
        if self.sharing is not None:
            self.sharing.given_back(outcome.stage_id)
        if outcome.cause in (Cause.CLAIMED, Cause.PAUSED, Cause.GPU_CAME, Cause.YIELDED):
            self.progress.postponed(outcome.stage_id)
            return
        self.launch.retried += 1
        if self.gauges is not None and outcome.cause is not None:
            self.gauges.retried(outcome.cause)
        store.attempts.save_retry(outcome.stage_id, str(outcome.cause), str(outcome.reason))
        self.progress.retried(outcome)

    def ended(self, outcome: Outcome, skipped: list[str]) -> None:
        """A stage is done, stopped or given up, and with it those `skipped`.

        Raises:
            LaunchError: another driver has taken over, or a machine cannot work for the sweep.
        """
        self.meter.ended(outcome.stage_id)
        if outcome.cause is not None:
            self._drop_claim(outcome.stage_id)
        elif outcome.stage_id in self.launch.plan.trial_of:
            self.meter.trials += 1
        if outcome.cause in (Cause.TAKEN_OVER, Cause.UNFIT):
            self.hand_out_no_more()
            raise LaunchError(str(outcome.reason))
        stage = self.launch.plan.stages[outcome.stage_id]
        if outcome.cause == Cause.HELD and self.steering is not None:
            self.progress.postponed(stage.id)
            self.steering.held_back(stage, skipped)
            return
        if outcome.cause in (None, Cause.INTERRUPTED):
            self.tracking.add(stage)
        else:
            self.unnoted.append(outcome)
            self.given_up[stage.id] = outcome
        self.progress.finished(outcome, skipped)
        if self.steering is not None:
            self.steering.ended(stage, outcome, skipped)
        self.growing.add(outcome)
        self.catch_up()
        self.stop_if_spent()

    @property
    def is_behind(self) -> bool:
        """Whether something of what has ended is yet to be told to the store, or asked of it."""
        return bool(self.unnoted) or self.growing.is_behind

    def catch_up(self) -> None:
        """Note what was given up, and let the plan go on by what has ended.

        A store that does not answer is asked again once a second, or when the next stage ends.

        Raises:
            UnreachableError: it has been silent for PATIENCE_S, and nothing else is left to do.
        """
        try:
            self.note_failures()
            self.grow()
            self.silent_since = None
        except UnreachableError:
            now = time.monotonic()
            self.silent_since = self.silent_since or now
            has_more = self.searcher is not None and not self.searcher.frontier.exhausted
            if not has_more and now - self.silent_since > PATIENCE_S:
                raise

    def note_failures(self) -> None:
        """Keep in the store why stages were given up; MLflow learns it from there."""
        store = self.launch.store
        while self.unnoted:
            store.leases.check(self.launch.fence)
            outcome = self.unnoted[0]
            reason = outcome.reason or str(outcome.cause)
            store.attempts.save_failure(outcome.stage_id, reason, outcome.traceback or "")
            self.tracking.add(self.launch.plan.stages[outcome.stage_id])
            self.unnoted.remove(outcome)

    def _drop_claim(self, stage_id: str) -> None:
        """Let other sweeps train a stage that this one does not train at this moment."""
        with suppress(StoreError):  # a claim only saves work
            self.launch.store.claims.drop(stage_id, self.launch.fence)

    def grow(self) -> None:
        """Let the plan go on by what has ended: what is handed out, seen and tracked.

        A new stage whose input has failed has ended with it. One whose input was withdrawn may yet
        come back: nothing is said of it.
        """
        while self.growing.is_behind:
            todo = self.growing.go_on()
            if todo is None:
                continue
            self.progress.grow(self.launch.plan, todo)
            self.tracking.grow(self.launch.plan)
            skipped = [] if self.searcher is None else self.searcher.add(todo)
            self.progress.skip(skipped)
            if self.steering is not None:
                self.steering.added(todo)
            for stage_id in skipped:
                upstream = self.launch.plan.stages[stage_id].walk()
                lost = [self.given_up[each.id] for each in upstream if each.id in self.given_up]
                if lost:
                    self.growing.add(replace(lost[0], stage_id=stage_id, wall_s=0.0))

    def waiting(self, text: str) -> None:
        """No machine has what a stage asks for, or one has come."""
        self.launch.console.print(text, style="yellow", markup=False, soft_wrap=True)

    def look(self) -> None:
        """Do what somebody has ordered; workers see by themselves what is about their stage."""
        self.take_signals()
        self.progress.look()
        if self.sharing is not None:
            self.sharing.look()
            self.progress.pace.slots = self.sharing.slots
        self.stop_if_spent()
        if self.launch.stopped:
            return
        self.catch_up()
        with suppress(StoreError):  # a store that does not answer now will the next time
            began = time.monotonic()
            given = self.launch.store.orders.read(self.launch.fence)
            if self.gauges is not None:
                self.gauges.show(self.progress.states, time.monotonic() - began)
            if given.ends_sweep:
                self.stop()
            elif self.steering is not None:
                self.steering.obey(given)
