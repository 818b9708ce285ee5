"""Projects a sweep from the store into MLflow; doing it twice changes nothing.

One experiment per sweep, in it one parent run (the plan's record) and one child run per stage,
found again by its tag `stage_id`. A run shows one attempt, known by when it began; points carry the
store's own times: a point sent twice is one, and what an attempt repeats goes with the run before.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException

from osr_core.identity import digest
from osr_core.results.commit import Commit
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_record
from sweeps.running.machine import MACHINE
from sweeps.store.files import DamagedError, StoreError
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from sweeps.tracking import descriptions
from sweeps.tracking.completeness import is_complete, state_of
from sweeps.tracking.database import make_database, make_ready
from sweeps.tracking.drawing import Drawing, Left
from sweeps.tracking.errors import REFUSALS
from sweeps.tracking.experiment import begin_sweep_run, open_experiment
from sweeps.tracking.found_runs import FoundRuns
from sweeps.tracking.made_on import MadeOn
from sweeps.tracking.painter import Pictures
from sweeps.tracking.points import milliseconds, points_of, points_so_far
from sweeps.tracking.search_runs import SearchRuns, shown_facts
from sweeps.tracking.sending import send_files, send_points
from sweeps.tracking.tags import ARRIVED, FACTS, HELD, NOTE, PARENT

log = logging.getLogger(__name__)


@dataclass
class Tracker:
    """Writes one sweep's runs; `open` it first."""

    plan: Plan
    store: Store
    uri: str
    artifacts: str | None  # where a new experiment's files go; None: the server decides
    code: str  # its version, for the plan's record
    pictures: Pictures | None = None
    fence: Fence | None = None  # of the driver; one that was taken over writes nothing
    refused: dict[str, str] = field(default_factory=dict)  # by stage id, why
    doubted: set[str] = field(default_factory=set)  # ids of stages of which a request has failed
    num_shown: dict[str, int] = field(default_factory=dict)  # by run id, epochs sent so far

    def open(self) -> None:
        """Find or make the experiment and the sweep's run, and note what is there already."""
        self._check()
        make_database(self.uri)
        self.made_on = MadeOn(self.store)
        self._drawing = Drawing(self.store, self.pictures, self._picture_facts)
        self.client = MlflowClient(self.uri)
        self.experiment_id = open_experiment(self.client, self.plan, self.store, self.artifacts)
        where = (self.client, self.experiment_id)
        self.found = FoundRuns(*where, self._shown(), self._check, self.record["leaves"])
        self.searches = SearchRuns(*where, self.found, self._check)
        self.look()
        self.found.forget_outdated(self.store)

    def extend(self, plan: Plan) -> None:
        """Take a plan with more trials in place of the one so far."""
        self._check()
        self.plan = plan
        self._drawing.forget()
        open_experiment(self.client, plan, self.store, self.artifacts)
        outdated = self.found.learn(plan.trial_ids, self._shown(), self.record["leaves"])
        self._send_record()
        self.searches.write(plan)
        for stage_id in outdated:
            self.write(plan.stages[stage_id])

    def look(self) -> None:
        """Note which runs there are, whatever was known before; make the sweep's own if need be."""
        known = self.found.parent_id
        self.found.look()
        if not known or self.found.parent_id != known:
            where = (self.client, self.plan, self.experiment_id, self.found.parent_id)
            self.found.parent_id = begin_sweep_run(*where, self.store.leases.driver(self.fence))
            self._send_record()
        self.searches.write(self.plan)

    def _shown(self) -> dict[str, str]:
        """By stage id, what stands for the facts that its run shows; "" for other than trials."""
        self.record = plan_record(self.plan, self.code)
        self.trials = {trial["trial_id"]: trial for trial in self.record["trials"]}
        shown = dict.fromkeys(self.plan.stages, "") | shown_facts(self.plan)
        return shown | {trial_id: digest(facts) for trial_id, facts in self.trials.items()}

    def _send_record(self) -> None:
        content = json.dumps(self.record).encode()
        send_files(self.client, self.found.parent_id, {"plan.json": content})

    def write(self, stage: Stage, following: Iterable[Stage] = ()) -> None:
        """Bring the run of a stage that has ended up to date with the store; twice is once.

        Pictures of those `following` it are begun meanwhile. What MLflow will never take is noted
        in `refused`; it must not hold up the other stages.
        """
        self._try(stage, partial(self._write, stage, following))

    def show(self, stages: Iterable[Stage]) -> None:
        """Bring the runs of stages that run up to date with what these have told so far."""
        self._check()
        running = {stage.id: stage for stage in stages}
        try:
            notes = self.store.attempts.progress(running)
        except StoreError:
            return  # it is shown the next time, or when it is done
        for stage_id, told in notes.items():
            if told.get("rows"):
                self._try(running[stage_id], partial(self._show, running[stage_id], told))

    def behind(self) -> list[Stage]:
        """Stages of which MLflow lacks what the store has."""
        done = self.store.committed(stages := self.plan.stages)
        behind = done - self.found.finished
        for stage_id, failure in self.store.attempts.failures(stages.keys() - done).items():
            if self.found.failed.get(stage_id) != milliseconds(failure["failed_at"]):
                behind.add(stage_id)
        behind -= self.refused.keys()
        return [stage for stage in stages.values() if stage.id in behind]

    def write_all(self) -> None:
        """Bring MLflow up to date with the store."""
        for stage in self.behind():
            self.write(stage)

    def close(self, status: str) -> None:
        """End the sweep's run. One with a result that was found damaged on the way has failed after
        all.
        """
        self.look()  # a request that was given up may have come through since
        is_whole = is_complete(self.plan, self.store) and not self.behind() and not self.refused
        status = "FAILED" if status == "FINISHED" and not is_whole else status
        self.end(status)
        if status == "FINISHED":
            state = state_of(self.record, self.store.aside(self.plan.stages))
            self.client.set_experiment_tag(self.experiment_id, HELD, state)

    def end(self, status: str) -> None:
        """End the sweep's run and those of stages that do not run on, whatever may be missing."""
        self._check()
        self.client.set_terminated(self.found.parent_id, status)
        for run_id in sorted(self.found.unended):
            self.client.set_terminated(run_id, "KILLED")
            self.found.unended.discard(run_id)

    def _check(self) -> None:
        """FencedError if another driver has the sweep now."""
        self.store.leases.check(self.fence)

    # -- one stage -------------------------------------------------------------------------------

    def _try(self, stage: Stage, send: Callable[[], None]) -> None:
        """Send news of a stage; where that came to nothing before, look first what came through.

        What is refused is sent once more: a user may have deleted the run.
        """
        for is_last in (False, True):
            if stage.id in self.refused:
                return
            if stage.id in self.doubted:
                self.found.look(stage.id)
            self.doubted.add(stage.id)  # until it has gone well
            try:
                send()
            except MlflowException as error:
                if error.error_code not in REFUSALS:
                    raise
                if is_last:
                    self.refused[stage.id] = f"{self.plan.describe(stage)}: {error.message}"
            else:
                self.doubted.discard(stage.id)
                return

    def _show(self, stage: Stage, told: Mapping[str, Any]) -> None:
        began, rows, at = told["started_at"], told["rows"], milliseconds(told["started_at"])
        if self.found.has_ended(stage.id) and self.found.began[stage.id] == at:
            return  # the attempt that runs now has told of nothing yet
        note = descriptions.running_note(self.plan, stage)
        run_id = self.found.run_of(stage.id, at) or self._run_of(stage, began, "", note)
        if new := rows[self.num_shown.get(run_id, 0) :]:
            send_points(self.client, run_id, points_so_far(new), self._params(stage))
            self.num_shown[run_id] = len(rows)

    def _write(self, stage: Stage, following: Iterable[Stage]) -> None:
        if self.store.committed([stage.id]):
            if stage.id in self.found.finished:
                return
            try:
                self._write_result(stage, following)
            except DamagedError:
                self.store.set_aside(stage.id)  # the launch sees that it is missing, and makes it
                return
            self.found.finished.add(stage.id)
        elif (failure := self.store.attempts.failure(stage.id)) is not None:
            self._write_failure(stage, failure)

    def _write_failure(self, stage: Stage, failure: Mapping[str, Any]) -> None:
        failed_at = milliseconds(failure["failed_at"])
        if self.found.failed.get(stage.id) == failed_at:
            return
        told = self.store.attempts.progress_of(stage.id) or {}
        rows = told.get("rows", [])
        began = told["started_at"] if rows else failure["failed_at"]
        run_id = self._run_of(stage, began, "", descriptions.failure_note(failure["reason"]))
        tags = [RunTag("reason", failure["reason"][:5000])]
        send_points(self.client, run_id, points_so_far(rows), self._params(stage), tags)
        send_files(self.client, run_id, {"traceback.txt": failure["traceback"].encode()})
        self.client.set_terminated(run_id, "FAILED", failed_at)
        self.found.unended.discard(run_id)
        self.found.failed[stage.id] = failed_at

    def _write_result(self, stage: Stage, following: Iterable[Stage]) -> None:
        left = self._drawing.left_by(stage)
        known, told = self.plan.stages, self.found.finished
        self._drawing.ahead(e for e in following if e.id in known and e.id not in told)
        result, files = left.result, dict(left.tables)
        note = descriptions.note_of(self.plan, stage, result, self._page)
        run_id = self._run_of(stage, result.started_at, result.code, note)
        tags = [RunTag(*each) for each in self.made_on.tags(stage, result).items()]
        send_points(self.client, run_id, points_of(result, files), self._params(stage), tags)
        files.pop(MACHINE, None)
        send_files(self.client, run_id, {**files, **self._pictures_of(stage, left)})
        self.client.set_terminated(run_id, "FINISHED", milliseconds(result.finished_at))
        # last: who exports now and does not see the run yet finds it later by this time
        self.client.log_metric(run_id, ARRIVED, time.time())
        self.found.unended.discard(run_id)

    def _pictures_of(self, stage: Stage, left: Left) -> Mapping[str, bytes]:
        try:
            return left.pictures.result()
        except Exception as error:  # which stops nothing
            log.warning("no pictures of %s: %s", self.plan.describe(stage), error)
            return {}

    def _picture_facts(self, stage: Stage, result: Commit) -> Mapping[str, Any]:
        about = descriptions.picture_facts(self.plan, stage, result.code or self.code)
        about |= self.trials.get(stage.id, {})
        return about | {k.removeprefix("test/"): value for k, value in result.metrics.items()}

    def _run_of(self, stage: Stage, started_at: float, code: str, note: str) -> str:
        """The run of an attempt that began then, made if need be, with its text."""
        self._check()
        began = milliseconds(started_at)
        news = {**descriptions.tags_of(stage, code or self.code), NOTE: note}
        news |= {FACTS: shown} if (shown := self.found.facts[stage.id]) else {}
        if attempts := self.store.attempts.retries(stage.id):
            news["repeated"] = ", ".join(attempt["cause"] for attempt in attempts)
        if run_id := self.found.run_of(stage.id, began):  # shown while it ran, or cut off
            self.client.log_batch(run_id, tags=[RunTag(*each) for each in news.items()])
            return run_id
        run = self.client.create_run(
            self.experiment_id,
            start_time=began,
            tags={**news, PARENT: self.searches.parent_of(stage.id)},
            run_name=descriptions.run_name(self.plan, stage),
        )
        self.found.add(stage.id, began, run.info.run_id)
        return str(run.info.run_id)

    def _page(self, stage: Stage) -> str | None:
        """The address of a stage's run within MLflow's pages, once there is one."""
        run_id = self.found.run_ids.get(stage.id)
        return run_id and f"#/experiments/{self.experiment_id}/runs/{run_id}"

    def _params(self, stage: Stage) -> dict[str, str]:
        return descriptions.params_of(self.plan, stage)


def make_tracker(
    plan: Plan,
    store: Store,
    home: Home,
    code: str,
    pictures: Pictures | None = None,
    fence: Fence | None = None,
) -> Tracker:
    """A tracker that knows what MLflow holds of the sweep."""
    tracker = Tracker(plan, store, home.tracking_uri, home.artifact_uri, code, pictures, fence)
    make_ready(home)
    tracker.open()
    return tracker
