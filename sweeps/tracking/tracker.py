"""MLflow: a picture of the store that can be rebuilt at any time. Writing it twice changes nothing.

One experiment per sweep, in it one parent run (the plan) and one child run per finished or failed
stage, found again by its tag `stage_id`. Metric points carry the times of the store's commit, so a
point sent twice is one point. What a run says of itself is in `sweeps.tracking.descriptions`.
"""

import contextlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities import Experiment, Metric, Param, Run, RunTag, ViewType
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
from sweeps.tracking.errors import (
    TrackingError,
    reason_of,
)
from sweeps.tracking.tags import (
    ARRIVED,
    HELD,
    NOTE,
    PARENT,
)
from sweeps.tracking.views import experiment_tags

log = logging.getLogger(__name__)
Pictures = Callable[[Mapping[str, Any], bytes], Mapping[str, bytes]]
"""A trial's tags and metrics and its scores.parquet -> PNG by file name."""

REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")  # asking again would not help
METRICS_PER_CALL = 900  # MLflow takes 1,000 metrics, params and tags in one call


@dataclass
class Tracker:
    """Projects one sweep from the store into MLflow."""

    plan: Plan
    store: Store
    uri: str
    artifacts: str | None  # where a new experiment's files go; None: the server decides
    commit: str  # the version of the code, for the parent run
    pictures: Pictures | None = None  # of score runs
    fence: Fence | None = None  # of the driver; one that was taken over writes nothing
    run_ids: dict[str, str] = field(default_factory=dict)  # by stage id
    finished: set[str] = field(default_factory=set)  # ids of stages whose runs are complete
    failed: dict[str, int] = field(default_factory=dict)  # by stage id, when it was given up, in ms
    refused: dict[str, str] = field(default_factory=dict)  # by stage id, why
    orphans: set[str] = field(default_factory=set)  # unended runs of stages that left the plan
    parent_id: str = ""
    state: str = ""  # stands for the plan and the code

    def open(self) -> None:
        """Find or make the experiment, the parent run and the map of what is there already."""
        self.store.leases.check(self.fence)
        make_database(self.uri)
        self.client = mlflow.MlflowClient(self.uri)
        self.experiment_id = self._open_experiment()
        self._look()
        self.parent_id = self.parent_id or self._create_parent()
        record = plan_record(self.plan, self.commit)
        self.state = digest(record)
        self._log_files(self.parent_id, {"plan.json": json.dumps(record).encode()})

    def _look(self) -> None:
        """Note the runs that are there. Where an answer was lost one may be there twice: that which
        is known already stays, then that which is complete, then the oldest.
        """
        runs, known = self._all_runs(), {self.parent_id, *self.run_ids.values()}
        runs.sort(key=lambda run: (run.info.run_id not in known, not is_whole(run)))
        for run in runs:
            run_id, tags = run.info.run_id, run.data.tags
            stage_id = tags.get("stage_id", "")
            if tags.get("kind") == "sweep":
                self.parent_id = self.parent_id or run_id
                is_twin = self.parent_id != run_id
            elif not stage_id:
                continue  # a user's own
            else:
                is_twin = self.run_ids.setdefault(stage_id, run_id) != run_id
            if is_twin:
                self.store.leases.check(self.fence)
                self.client.delete_run(run_id)
                continue
            if stage_id and stage_id not in self.plan.stages and run.info.status == "RUNNING":
                self.orphans.add(run_id)
            if stage_id and is_whole(run):
                self.finished.add(stage_id)
            if "reason" in tags:
                self.failed[stage_id] = run.info.end_time or 0

    def record(self, stage: Stage) -> None:
        """Bring the run of one stage up to date with the store; does nothing the second time.

        What MLflow will never take is noted in `refused`; it must not hold up the other stages.
        """
        if stage.id in self.refused:
            return
        try:
            self._record(stage)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            self.refused[stage.id] = f"{self.plan.describe(stage)}: {error.message}"

    def _record(self, stage: Stage) -> None:
        if self.store.committed([stage.id]):
            if stage.id in self.finished:
                return
            try:
                self._record_commit(stage, self.store.read_commit(stage.id))
            except DamagedError:
                self.store.set_aside(stage.id)  # the runner sees that it is missing, and makes it
                return
            self.finished.add(stage.id)
        elif (failure := self.store.attempts.failure(stage.id)) is not None:
            self._record_failure(stage, failure)

    def _record_failure(self, stage: Stage, failure: Mapping[str, Any]) -> None:
        failed_at = milliseconds(failure["failed_at"])
        if self.failed.get(stage.id) == failed_at:
            return
        note = descriptions.failure_note(failure["reason"])
        run_id = self._run_of(stage, failure["failed_at"], "", note)
        self.client.set_tag(run_id, "reason", failure["reason"][:5000])
        self._log_files(run_id, {"traceback.txt": failure["traceback"].encode()})
        self.client.set_terminated(run_id, "FAILED", failed_at)
        self.failed[stage.id] = failed_at

    def unrecorded(self) -> list[Stage]:
        """Stages of which MLflow lacks what the store has."""
        stages = self.plan.stages
        done = self.store.committed(stages)
        behind = done - self.finished
        for stage_id, failure in self.store.attempts.failures(stages.keys() - done).items():
            if self.failed.get(stage_id) != milliseconds(failure["failed_at"]):
                behind.add(stage_id)
        behind -= self.refused.keys()
        return [stage for stage in stages.values() if stage.id in behind]

    def record_all(self) -> None:
        """Bring MLflow up to date with the store."""
        for stage in self.unrecorded():
            self.record(stage)

    def close(self, status: str) -> None:
        """End the sweep's run, and those of stages that left its plan. One with a result that was
        found damaged on the way has failed after all.
        """
        self._look()  # a request that was given up may have come through since
        is_held = (
            self.store.is_complete(self.plan.trial_ids, self.plan.stages)
            and not self.unrecorded()
            and not self.refused
        )
        if status == "FINISHED" and not is_held:
            status = "FAILED"
        self.store.leases.check(self.fence)
        for run_id in self.orphans:
            self.client.set_terminated(run_id, "KILLED")
        self.end(status)
        if status == "FINISHED":
            self.client.set_experiment_tag(self.experiment_id, HELD, self.state)

    def end(self, status: str) -> None:
        """End the sweep's run, whatever else may be missing."""
        self.store.leases.check(self.fence)
        self.client.set_terminated(self.parent_id, status)

    def _record_commit(self, stage: Stage, commit: Commit) -> None:
        files = {  # all of them before anything is sent: one may be damaged
            name: self.store.read(stage.id, name)
            for name in commit.artifacts
            if name.endswith(".parquet")
        }
        note = descriptions.note_of(self.plan, stage, commit, self._page)
        run_id = self._run_of(stage, commit.started_at, commit.code, note)
        self._log_metrics(run_id, stage, commit, files)
        files.pop(MACHINE, None)
        if "scores.parquet" in files:
            files |= self._drawn(stage, commit, files["scores.parquet"])
        self._log_files(run_id, files)
        self.client.set_terminated(run_id, "FINISHED", milliseconds(commit.finished_at))
        # last: who exports now and does not see the run yet finds it later by this time
        self.client.log_metric(run_id, ARRIVED, time.time())

    def _drawn(self, stage: Stage, commit: Commit, scores: bytes) -> Mapping[str, bytes]:
        """Pictures of a trial; none where they cannot be drawn, which stops nothing."""
        if self.pictures is None:
            return {}
        metrics = {name.removeprefix("test/"): value for name, value in commit.metrics.items()}
        about = {**descriptions.tags_of(self.plan, stage, commit.code or self.commit), **metrics}
        try:
            return self.pictures({"sweep": self.plan.spec.name, **about}, scores)
        except Exception as error:
            log.warning("no pictures of %s: %s", self.plan.describe(stage), error)
            return {}

    def _open_experiment(self) -> str:
        """The id of the sweep's experiment, made if need be, with its description up to date."""
        name = self.plan.spec.name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            where = f"{self.artifacts}/{name}" if self.artifacts else None
            experiment_id = str(self.client.create_experiment(name, artifact_location=where))
        else:
            experiment_id = str(experiment.experiment_id)
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment_id)
        there = {HELD: ""} | (experiment.tags if experiment else {})
        for key, value in {**experiment_tags(self.plan, experiment_id), HELD: ""}.items():
            if there.get(key) != value:
                self.client.set_experiment_tag(experiment_id, key, value)
        return experiment_id

    def _create_parent(self) -> str:
        name = self.plan.spec.name
        counts = ", ".join(f"{count} {kind}" for kind, count in self.plan.kinds().items())
        note = f"The sweep **{name}**: {len(self.plan.trials)} trials, made of {counts} stages."
        tags = {"kind": "sweep", NOTE: note}
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"sweep {name}")
        return str(run.info.run_id)

    def _run_of(self, stage: Stage, started_at: float, code: str, note: str) -> str:
        """The run of a stage, made if need be, with its text."""
        self.store.leases.check(self.fence)
        news = {**descriptions.tags_of(self.plan, stage, code or self.commit), NOTE: note}
        if attempts := self.store.attempts.retries(stage.id):
            news["repeated"] = ", ".join(attempt["cause"] for attempt in attempts)
        if stage.id in self.finished or stage.id in self.failed:  # that run tells of the past
            self.client.delete_run(self.run_ids.pop(stage.id))
            self.finished.discard(stage.id)
            self.failed.pop(stage.id, None)
        if run_id := self.run_ids.get(stage.id):  # of an attempt to write it that was cut off
            tags = [RunTag(key, text) for key, text in news.items()]
            self.client.log_batch(run_id, tags=tags)
            return run_id
        run = self.client.create_run(
            self.experiment_id,
            start_time=milliseconds(started_at),
            tags={**news, PARENT: self.parent_id},
            run_name=descriptions.run_name(self.plan, stage),
        )
        self.run_ids[stage.id] = run.info.run_id
        return self.run_ids[stage.id]

    def _page(self, stage: Stage) -> str | None:
        """The address of a stage's run within MLflow's pages, once there is one."""
        run_id = self.run_ids.get(stage.id)
        return run_id and f"#/experiments/{self.experiment_id}/runs/{run_id}"

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=5000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _log_metrics(
        self, run_id: str, stage: Stage, commit: Commit, files: Mapping[str, bytes]
    ) -> None:
        at = milliseconds(commit.finished_at)
        points = [Metric(name, value, at, 0) for name, value in commit.metrics.items()]
        points.append(Metric("wall_s", commit.wall_s, at, 0))
        if "history.parquet" in files:
            rows = rows_of(files["history.parquet"])
            points = [Metric(row["metric"], row["value"], at, row["epoch"]) for row in rows]
        if MACHINE in files:
            points += [
                Metric(f"system/{name}", value, milliseconds(row["at"]), step)
                for step, row in enumerate(rows_of(files[MACHINE]))
                for name, value in row.items()
                if name != "at" and value is not None  # a GPU is seen once it is used
            ]
        params = [Param(*each) for each in descriptions.params_of(self.plan, stage).items()]
        self.client.log_batch(run_id, metrics=points[:METRICS_PER_CALL], params=params)
        for start in range(METRICS_PER_CALL, len(points), METRICS_PER_CALL):
            self.client.log_batch(run_id, metrics=points[start : start + METRICS_PER_CALL])

    def _log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Artifacts of a run by name."""
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self.client.log_artifacts(run_id, folder)


def is_whole(run: Run) -> bool:
    """Whether MLflow holds all of a stage's run."""
    return run.info.status == "FINISHED" and ARRIVED in run.data.metrics


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of an artifact in Parquet."""
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def milliseconds(seconds: float) -> int:
    """MLflow's unit of time."""
    return round(seconds * 1000)


def experiment_of(uri: str, sweep: str) -> Experiment | None:
    """A sweep's experiment in MLflow, if it has one."""
    return mlflow.MlflowClient(uri).get_experiment_by_name(sweep)


def make_database(uri: str) -> None:
    """Make MLflow's SQLite file, whole or not at all: MLflow cannot mend one made by half.

    It takes MLflow dozens of steps, and a kill or a full disk may strike between any two.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        mlflow.MlflowClient(f"sqlite:///{made}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another sweep of this home was faster
            os.link(made, path)


def make_tracker(
    plan: Plan,
    store: Store,
    home: Home,
    commit: str,
    pictures: Pictures | None = None,
    fence: Fence | None = None,
) -> Tracker:
    """A tracker that knows what MLflow holds of the sweep."""
    tracker = Tracker(plan, store, home.tracking_uri, home.artifact_uri, commit, pictures, fence)
    tracker.open()
    return tracker


def synchronise(
    plan: Plan,
    store: Store,
    home: Home,
    commit: str,
    pictures: Pictures | None = None,
    fence: Fence | None = None,
) -> int:
    """Write all that MLflow lacks of a sweep; the number of stages that it then holds.

    Raises:
        TrackingError: MLflow cannot be reached or does not take it.
    """
    try:
        tracker = make_tracker(plan, store, home, commit, pictures, fence)
        tracker.record_all()
        tracker.close("FINISHED" if store.is_complete(plan.trial_ids, plan.stages) else "FAILED")
        if tracker.refused:
            raise MlflowException("; ".join(tracker.refused.values()))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow at {home.tracking_uri} does not take the runs: {reason_of(error)}. Results "
            "are safe on the store; try again when it is back."
        ) from error
    return len(tracker.finished & plan.stages.keys())
