"""Projects a sweep from the store into MLflow; doing it twice changes nothing.

One experiment per sweep, in it one parent run (the plan's record) and one child run per finished or
failed stage, found again by its tag `stage_id`. Points carry the times of the store's markers, so a
point sent twice is one point. What a run says of itself is in `descriptions`.
"""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException

from osr_core.identity import digest
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_record
from sweeps.running.machine import MACHINE
from sweeps.store.commit import Commit
from sweeps.store.leases import Fence
from sweeps.store.store import DamagedError, Store
from sweeps.tracking import descriptions
from sweeps.tracking.database import make_database
from sweeps.tracking.experiment import create_sweep_run, open_experiment
from sweeps.tracking.found_runs import FoundRuns
from sweeps.tracking.points import milliseconds, points_of
from sweeps.tracking.tags import ARRIVED, FACTS, HELD, NOTE, PARENT

log = logging.getLogger(__name__)
Pictures = Callable[[Mapping[str, Any], bytes], Mapping[str, bytes]]
"""A trial's facts and metrics and its scores.parquet -> PNG by file name."""

REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")  # asking again would not help
METRICS_PER_CALL = 900  # MLflow takes 1,000 metrics, params and tags in one call


@dataclass
class Tracker:
    """Writes one sweep's runs; `open` it first."""

    plan: Plan
    store: Store
    uri: str
    artifacts: str | None  # where a new experiment's files go; None: the server decides
    code: str  # its version, for the plan's record
    pictures: Pictures | None = None  # of score runs
    fence: Fence | None = None  # of the driver; one that was taken over writes nothing
    refused: dict[str, str] = field(default_factory=dict)  # by stage id, why

    def open(self) -> None:
        """Find or make the experiment and the sweep's run, and note what is there already."""
        self._check()
        make_database(self.uri)
        self.client = MlflowClient(self.uri)
        self.experiment_id = open_experiment(self.client, self.plan, self.store, self.artifacts)
        self.found = FoundRuns(self.client, self.experiment_id, self._shown(), self._check)
        self.found.look()
        if not self.found.parent_id:
            self.found.parent_id = create_sweep_run(self.client, self.plan, self.experiment_id)
        self._log_record()

    def extend(self, plan: Plan) -> None:
        """Take a plan with more trials in place of the one so far."""
        self._check()
        self.plan = plan
        open_experiment(self.client, plan, self.store, self.artifacts)
        self.found.facts = self._shown()
        self._log_record()

    def _shown(self) -> dict[str, str]:
        """By stage id, what stands for the facts that its run shows; "" for other than trials."""
        record = plan_record(self.plan, self.code)
        self.state = digest(record)  # stands for the plan and the code
        self.trials = {trial["trial_id"]: trial for trial in record["trials"]}
        shown = dict.fromkeys(self.plan.stages, "")
        return shown | {trial_id: digest(facts) for trial_id, facts in self.trials.items()}

    def _log_record(self) -> None:
        record = json.dumps(plan_record(self.plan, self.code)).encode()
        self._log_files(self.found.parent_id, {"plan.json": record})

    def write(self, stage: Stage) -> None:
        """Bring the run of one stage up to date with the store; does nothing the second time.

        What MLflow will never take is noted in `refused`; it must not hold up the other stages.
        """
        if stage.id in self.refused:
            return
        try:
            self._write(stage)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            self.refused[stage.id] = f"{self.plan.describe(stage)}: {error.message}"

    def behind(self) -> list[Stage]:
        """Stages of which MLflow lacks what the store has."""
        stages = self.plan.stages
        done = self.store.committed(stages)
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
        """End the sweep's run, and those of stages that left its plan. One with a result that was
        found damaged on the way has failed after all.
        """
        self.found.look()  # a request that was given up may have come through since
        is_complete = self.store.is_complete(self.plan.trial_ids, self.plan.stages)
        if status == "FINISHED" and (not is_complete or self.behind() or self.refused):
            status = "FAILED"
        self._check()
        for run_id in self.found.orphans:
            self.client.set_terminated(run_id, "KILLED")
        self.end(status)
        if status == "FINISHED":
            self.client.set_experiment_tag(self.experiment_id, HELD, self.state)

    def end(self, status: str) -> None:
        """End the sweep's run, whatever else may be missing."""
        self._check()
        self.client.set_terminated(self.found.parent_id, status)

    def _check(self) -> None:
        """FencedError if another driver has the sweep now."""
        self.store.leases.check(self.fence)

    # -- one stage -------------------------------------------------------------------------------

    def _write(self, stage: Stage) -> None:
        if self.store.committed([stage.id]):
            if stage.id in self.found.finished:
                return
            try:
                self._write_result(stage, self.store.read_commit(stage.id))
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
        note = descriptions.failure_note(failure["reason"])
        run_id = self._run_of(stage, failure["failed_at"], "", note)
        reason = [RunTag("reason", failure["reason"][:5000])]
        self.client.log_batch(run_id, params=self._params(stage), tags=reason)
        self._log_files(run_id, {"traceback.txt": failure["traceback"].encode()})
        self.client.set_terminated(run_id, "FAILED", failed_at)
        self.found.failed[stage.id] = failed_at

    def _write_result(self, stage: Stage, result: Commit) -> None:
        files = {  # all of them before anything is sent: one may be damaged
            name: self.store.read(stage.id, name)
            for name in result.artifacts
            if name.endswith(".parquet")
        }
        note = descriptions.note_of(self.plan, stage, result, self._page)
        run_id = self._run_of(stage, result.started_at, result.code, note)
        self._log_numbers(run_id, stage, result, files)
        files.pop(MACHINE, None)
        if "scores.parquet" in files:
            files |= self._drawn(stage, result, files["scores.parquet"])
        self._log_files(run_id, files)
        self.client.set_terminated(run_id, "FINISHED", milliseconds(result.finished_at))
        # last: who exports now and does not see the run yet finds it later by this time
        self.client.log_metric(run_id, ARRIVED, time.time())

    def _drawn(self, stage: Stage, result: Commit, scores: bytes) -> Mapping[str, bytes]:
        """Pictures of a trial; none where they cannot be drawn, which stops nothing."""
        if self.pictures is None:
            return {}
        numbers = {name.removeprefix("test/"): value for name, value in result.metrics.items()}
        spec, trial = self.plan.spec, self.trials[stage.id]
        about: dict[str, Any] = {"sweep": spec.name, "commit": result.code or self.code}
        about |= {"label": trial["title"] + self.plan.differing(stage)}
        about |= {"changes": {"backbone": spec.backbone, "training": spec.training}}
        try:
            return self.pictures({**about, **trial, **numbers}, scores)
        except Exception as error:
            log.warning("no pictures of %s: %s", self.plan.describe(stage), error)
            return {}

    def _run_of(self, stage: Stage, started_at: float, code: str, note: str) -> str:
        """The run of a stage, made if need be, with its text."""
        self._check()
        news = {**descriptions.tags_of(stage, code or self.code), NOTE: note}
        if shown := self.found.facts[stage.id]:
            news[FACTS] = shown
        if attempts := self.store.attempts.retries(stage.id):
            news["repeated"] = ", ".join(attempt["cause"] for attempt in attempts)
        self.found.forget_ended(stage.id)
        if run_id := self.found.run_ids.get(stage.id):  # of an attempt to write it, cut off
            tags = [RunTag(key, text) for key, text in news.items()]
            self.client.log_batch(run_id, tags=tags)
            return run_id
        run = self.client.create_run(
            self.experiment_id,
            start_time=milliseconds(started_at),
            tags={**news, PARENT: self.found.parent_id},
            run_name=descriptions.run_name(self.plan, stage),
        )
        self.found.run_ids[stage.id] = run.info.run_id
        return str(run.info.run_id)

    def _page(self, stage: Stage) -> str | None:
        """The address of a stage's run within MLflow's pages, once there is one."""
        run_id = self.found.run_ids.get(stage.id)
        return run_id and f"#/experiments/{self.experiment_id}/runs/{run_id}"

    def _log_numbers(
        self, run_id: str, stage: Stage, result: Commit, files: Mapping[str, bytes]
    ) -> None:
        points = points_of(result, files)
        params = self._params(stage)
        self.client.log_batch(run_id, metrics=points[:METRICS_PER_CALL], params=params)
        for start in range(METRICS_PER_CALL, len(points), METRICS_PER_CALL):
            self.client.log_batch(run_id, metrics=points[start : start + METRICS_PER_CALL])

    def _params(self, stage: Stage) -> list[Param]:
        return [Param(*each) for each in descriptions.params_of(self.plan, stage).items()]

    def _log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Artifacts of a run by name."""
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self.client.log_artifacts(run_id, folder)


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
    tracker.open()
    return tracker
