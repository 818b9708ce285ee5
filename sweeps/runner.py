"""From a spec to committed results: plan, run what is missing, track, tell what is left."""

import logging
import queue
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from osr_core.data import BENCHMARKS
from osr_core.data.tasks import fingerprints
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.plan import Plan, PlannedTrial, make_plan, remaining
from sweeps.progress import SweepProgress
from sweeps.record import claim_name, code_version, plan_record
from sweeps.spec import SweepSpec
from sweeps.store import Store
from sweeps.work import Outcome, Workplace

if TYPE_CHECKING:
    from sweeps.tracking import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """How a launch ended."""

    plan: Plan
    started: int  # stages handed to the cluster
    missing: list[tuple[PlannedTrial, str]]  # trials without a result, and why


def plan_with_data(spec: SweepSpec, data_root: Path | None) -> Plan:
    """The plan of a spec for the data under a root; DataError names every file that is missing."""
    found: dict[str, str] = {}
    for name in spec.datasets:
        found |= fingerprints(data_root, BENCHMARKS[name])
    return make_plan(spec, found)


def check_data(spec: SweepSpec, data_root: Path | None) -> None:
    """Decode every data set of a spec once, so that a broken file is found before any work."""
    for name in spec.datasets:
        BENCHMARKS[name].known.load(data_root, "train")
        for reader in {BENCHMARKS[name].known, BENCHMARKS[name].unknown}:
            reader.load(data_root, "test")


def run_sweep(
    spec: SweepSpec, home: Home, data_root: Path | None, console: Console, *, replace: bool
) -> Summary:
    """Run every stage of a sweep that is not done yet."""
    plan = plan_with_data(spec, data_root)
    store = Store(home.store)
    commit = code_version()
    record = plan_record(plan, commit)
    claim_name(store, record, replace)
    todo = remaining(plan, store.committed(plan.stages))
    if todo:
        check_data(spec, data_root)
    failures: list[Outcome] = []
    tracking = BackgroundTracking(plan, store, home, commit)
    try:
        if todo:
            failures = run_stages(plan, todo, home, data_root, console, tracking)
    finally:
        complete = len(store.committed(trial.id for trial in plan.trials)) == len(plan.trials)
        tracking.close(complete)
    return Summary(plan, len(todo), missing_trials(plan, store, failures))


def run_stages(
    plan: Plan,
    todo: list[Stage],
    home: Home,
    data_root: Path | None,
    console: Console,
    tracking: "BackgroundTracking",
) -> list[Outcome]:
    """Run stages on a Ray cluster; those that failed come back."""
    from sweeps import cluster  # Ray takes seconds to import, and a finished sweep needs none

    place = Workplace(
        store=str(home.store.resolve()),
        data_root=None if data_root is None else str(data_root.resolve()),
        cpus=plan.spec.resources.cpus,
    )
    cluster.connect()
    try:
        with SweepProgress(plan, todo, console) as progress:

            def ended(outcome: Outcome, skipped: list[str]) -> None:
                progress.finished(outcome, skipped)
                tracking.add(plan.stages[outcome.stage_id])

            cluster.execute(
                todo,
                place,
                plan.spec.resources,
                home.ray,
                started=progress.started,
                ended=ended,
            )
        return progress.failed
    finally:
        cluster.disconnect()


def missing_trials(
    plan: Plan, store: Store, failures: list[Outcome]
) -> list[tuple[PlannedTrial, str]]:
    """Planned trials without a result, each with the failed stage to blame."""
    done = store.committed(trial.id for trial in plan.trials)
    missing = []
    for trial in plan.trials:
        if trial.id in done:
            continue
        needs = {stage.id for stage in trial.score.walk()}
        reasons = [
            f"{plan.describe(plan.stages[failure.stage_id])} failed: {failure.reason}"
            for failure in failures
            if failure.stage_id in needs
        ]
        missing.append((trial, "; ".join(reasons) or "not run"))
    return missing


class BackgroundTracking:
    """Writes to MLflow in a thread of its own, so that tracking never holds up a stage."""

    def __init__(self, plan: Plan, store: Store, home: Home, commit: str) -> None:
        self._make = partial(_tracker, plan, store, home, commit)
        self._queue: queue.SimpleQueue[Stage | None] = queue.SimpleQueue()
        self._complete = False
        self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
        self._thread.start()

    def add(self, stage: Stage) -> None:
        """A stage ended; its run is written soon."""
        self._queue.put(stage)

    def close(self, complete: bool) -> None:
        """Write what is left, end the parent run, and wait for it."""
        self._complete = complete
        self._queue.put(None)
        self._thread.join()

    def _loop(self) -> None:
        try:
            tracker = self._make()
            while (stage := self._queue.get()) is not None:
                tracker.record(stage)
            tracker.close(self._complete)
        except Exception:  # results are safe on the store; MLflow is brought up to date next time
            log.exception("MLflow could not be written; results are safe, run again to bring it up")


def _tracker(plan: Plan, store: Store, home: Home, commit: str) -> "Tracker":
    from sweeps.tracking import Tracker  # MLflow takes seconds to import

    home.artifacts.mkdir(parents=True, exist_ok=True)
    artifacts = home.artifacts.resolve().as_uri()
    tracker = Tracker(plan, store, home.tracking_uri, artifacts, commit)
    tracker.open()
    return tracker
