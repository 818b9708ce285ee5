"""From a spec to committed results: plan, run what is missing, track, tell what is left."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from osr_core.errors import OsrError
from osr_core.identity import digest
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch.code_version import code_version
from sweeps.launch.progress import SweepProgress
from sweeps.launch.reaper import Reaper
from sweeps.launch.shutdown import Shutdown
from sweeps.planning.data import check_data, plan_with_data
from sweeps.planning.plan import Plan, PlannedTrial, remaining
from sweeps.planning.record import plan_record
from sweeps.planning.spec import SweepSpec
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.worker import Workplace
from sweeps.store.files import StoreError
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from sweeps.store.sweep_names import claim_name
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.completeness import plan_held

if TYPE_CHECKING:
    from sweeps.running.searcher import StageSearcher
    from sweeps.tracking.tracker import Pictures, Tracker

PASSES = 2  # the second makes what was found damaged on the way to MLflow
NOT_RUN = "not run"


class LaunchError(OsrError):
    """A launch cannot go on, through no fault of its stages."""


@dataclass
class Launch:
    """One `osr run`: what it works on, and how it went."""

    plan: Plan
    store: Store
    home: Home
    data_root: Path | None
    console: Console
    fence: Fence
    address: str | None  # of a running Ray cluster; None: one is started on this machine
    started: set[str] = field(default_factory=set)  # ids of stages handed to the cluster
    retried: int = 0  # attempts that came to nothing
    stopped: bool = False  # by Ctrl-C, SIGTERM or another driver
    tracking_problem: str | None = None  # why MLflow is not up to date, if so
    up_to_date: bool = False  # nothing was to be done, not even in MLflow

    @property
    def num_done(self) -> int:
        """Trials that have their result."""
        return len(self.store.committed(trial.id for trial in self.plan.trials))

    @property
    def unmade(self) -> list[str]:
        """Stages whose damaged results were set aside and could not be made again."""
        again = self.store.to_make_again(self.plan.stages)
        return [self.plan.describe(self.plan.stages[stage_id]) for stage_id in sorted(again)]

    @property
    def missing(self) -> list[tuple[PlannedTrial, str]]:
        """Planned trials without a result, each with the failed stages to blame."""
        done = self.store.committed(self.plan.stages)
        failures = self.store.attempts.failures(self.plan.stages.keys() - done)
        missing = []
        for trial in self.plan.trials:
            if trial.id in done:
                continue
            reasons = [
                f"{self.plan.describe(stage)} failed: {failures[stage.id]['reason']}"
                for stage in trial.score.walk()
                if stage.id in failures
            ]
            missing.append((trial, "; ".join(reasons) or NOT_RUN))
        return missing


def run_sweep(
    spec: SweepSpec,
    home: Home,
    data_root: Path | None,
    console: Console,
    *,
    address: str | None = None,
    replace: bool = False,
    take_over: bool = False,
    pictures: "Pictures | None" = None,
) -> Launch:
    """Run every stage of a sweep that is not done yet; `pictures` go to the runs in MLflow."""
    plan = plan_with_data(spec, data_root)
    if address is not None:
        from sweeps.running.cluster import check_answers  # Ray takes seconds to import

        check_answers(address)
    store = Store(home.store)
    code = code_version()
    with Lease(store.leases, spec.name, take_over=take_over) as lease:
        fence = Fence(spec.name, lease.number)
        launch = Launch(plan, store, home, data_root, console, fence, address)
        record = plan_record(plan, code)
        claim_name(store, record, replace)
        if is_complete(launch) and plan_held(home, store, spec.name) == digest(record):
            launch.up_to_date = True
            return launch
        make_tracker = partial(tracker_of, launch, code, pictures)
        for _ in range(PASSES):
            again = store.to_make_again(plan.stages)
            run_pass(launch, again, BackgroundTracking(make_tracker))
            if launch.stopped:
                return launch  # within seconds, and a bucket is slow
            if not store.to_make_again(plan.stages) - again:
                break
        store.tidy(plan.stages)
    return launch


def run_pass(launch: Launch, again: Collection[str], tracking: BackgroundTracking) -> None:
    """Run what is missing, and the stages in `again`; then wait for MLflow to hold it."""
    plan, store = launch.plan, launch.store
    try:
        if todo := remaining(plan, store.committed(plan.stages), again):
            check_data(plan.spec, launch.data_root)
            run_stages(launch, todo, tracking)
    except BaseException:  # a user who stops it, too, must not wait for a server
        tracking.close(status_of(launch), hurry=True)
        raise
    tracking.close(status_of(launch), hurry=launch.stopped)
    launch.tracking_problem = tracking.problem


def status_of(launch: Launch) -> str:
    """MLflow's word for how a sweep ended."""
    if launch.stopped:
        return "KILLED"
    return "FINISHED" if is_complete(launch) else "FAILED"


def is_complete(launch: Launch) -> bool:
    """Whether every trial has its result, and nothing that was damaged is still to be made."""
    return launch.store.is_complete(launch.plan.trial_ids, launch.plan.stages)


def run_stages(launch: Launch, todo: list[Stage], tracking: BackgroundTracking) -> None:
    """Run stages on a Ray cluster until none is left or the user stops it."""
    from sweeps.running import cluster  # as above; a finished sweep needs none of it

    plan = launch.plan
    done = len(plan.stages) - len(todo)
    launch.console.print(f"{done} of {len(plan.stages)} stages are done; starting Ray")
    progress = SweepProgress(plan, todo, launch.console)
    conduct = Conduct(launch, progress, tracking)
    with Reaper(), Shutdown(conduct.stop) as shutdown, progress:
        try:
            cluster.connect(launch.address)
            shutdown.take_signals()  # Ray has put its own handlers there
            conduct.execute(todo)
        except (KeyboardInterrupt, SystemExit):  # the latter is Ray's answer to a SIGTERM
            launch.stopped = True
        finally:
            shutdown.disarm()
            cluster.disconnect()


@dataclass
class Conduct:
    """What a launch does when its stages begin and end, and when it is to stop."""

    launch: Launch
    progress: SweepProgress
    tracking: BackgroundTracking
    searcher: "StageSearcher | None" = None  # once Ray is there

    def begin(self, searcher: "StageSearcher") -> None:
        """Stages are handed out from now on, unless a stop was asked for while Ray started."""
        self.searcher = searcher
        if self.launch.stopped:
            searcher.stop()

    def stop(self) -> None:
        """Hand out no more; workers save at the end of their epoch."""
        if not self.launch.stopped:
            self.launch.console.print("stopping: running epochs end and are saved; Ctrl-C: at once")
        self.hand_out_no_more()

    def hand_out_no_more(self) -> None:
        """What runs may end."""
        self.launch.stopped = True
        if self.searcher is not None:
            self.searcher.stop()
        with suppress(StoreError):  # of a full disk, on which nothing could be saved either
            self.launch.store.orders.stop(self.launch.fence)

    def execute(self, todo: Sequence[Stage]) -> None:
        """Run stages on the cluster that this process has joined."""
        from sweeps.running import cluster

        plan = self.launch.plan
        cluster.execute(
            todo,
            {stage.id: stage.identity for stage in plan.stages.values()},
            workplace(self.launch),
            plan.spec.resources,
            self.launch.home.ray,
            started=self.started,
            retried=self.retried,
            ended=self.ended,
            on_start=self.begin,
        )

    def started(self, stage: Stage) -> None:
        """A stage was handed out."""
        self.launch.started.add(stage.id)
        self.progress.started(stage)

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing; there will be another."""
        store = self.launch.store
        store.leases.check(self.launch.fence)
        self.launch.retried += 1
        store.attempts.save_retry(outcome.stage_id, str(outcome.cause), str(outcome.reason))
        self.progress.retried(outcome)

    def ended(self, outcome: Outcome, skipped: list[str]) -> None:
        """A stage is done, stopped or given up, and with it those `skipped`.

        Raises:
            LaunchError: another driver has taken over, or a machine cannot work for the sweep.
        """
        store = self.launch.store
        if outcome.cause in (Cause.TAKEN_OVER, Cause.UNFIT):
            self.hand_out_no_more()
            raise LaunchError(str(outcome.reason))
        if outcome.cause not in (None, Cause.INTERRUPTED):
            store.leases.check(self.launch.fence)
            reason = outcome.reason or outcome.cause
            store.attempts.save_failure(outcome.stage_id, reason, outcome.traceback or "")
        self.progress.finished(outcome, skipped)
        self.tracking.add(self.launch.plan.stages[outcome.stage_id])


def workplace(launch: Launch) -> Workplace:
    """What every worker of a launch is told."""
    store, resources = launch.store, launch.plan.spec.resources
    return Workplace(
        store=store.uri,
        data_root=None if launch.data_root is None else str(launch.data_root.resolve()),
        use_gpu=resources.gpus != 0,
        fence=launch.fence,
        code=code_version(),
        cpus=resources.cpus,
        checkpoint_every_s=resources.checkpoint_every_s,
    )


def tracker_of(launch: Launch, code: str, pictures: "Pictures | None") -> "Tracker":
    """A tracker that knows what MLflow holds of the sweep."""
    from sweeps.tracking.tracker import make_tracker  # MLflow takes seconds to import

    return make_tracker(launch.plan, launch.store, launch.home, code, pictures, launch.fence)
