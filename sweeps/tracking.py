"""MLflow: a picture of the store that can be rebuilt at any time. Writing it twice changes nothing.

One experiment per sweep, in it one parent run (the plan) and one child run per finished or failed
stage, found again by its tag `stage_id`. Metric points carry the times of the store's commit, so a
point sent twice is one point.
"""

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.home import Home, silence

silence()

import mlflow  # noqa: E402  (reads its environment at import)
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from mlflow.entities import Metric, Param, Run, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from osr_core.errors import OsrError  # noqa: E402
from osr_core.stage import Stage  # noqa: E402
from sweeps.plan import Plan  # noqa: E402
from sweeps.record import plan_record  # noqa: E402
from sweeps.store import Commit, DamagedError, Store  # noqa: E402


class TrackingError(OsrError):
    """MLflow cannot be reached or refuses what it is sent."""


PARENT = "mlflow.parentRunId"
ARRIVED = "arrived_at_s"  # when MLflow held all of a finished run; for `osr export --since`
METRICS_PER_CALL = 900  # MLflow takes 1,000 metrics, params and tags in one call


@dataclass
class Tracker:
    """Projects one sweep from the store into MLflow."""

    plan: Plan
    store: Store
    uri: str
    artifacts: str | None  # where a new experiment's files go; None: the server decides
    commit: str  # the version of the code, for the parent run
    run_ids: dict[str, str] = field(default_factory=dict)  # by stage id
    finished: set[str] = field(default_factory=set)  # ids of stages whose runs are complete

    def open(self) -> None:
        """Find or make the experiment, the parent run and the map of what is there already.

        Where an answer was lost a run may be there twice; the younger one is deleted.
        """
        self._make_folders()
        self.client = mlflow.MlflowClient(self.uri)
        name = self.plan.spec.name
        experiment = self.client.get_experiment_by_name(name)
        where = f"{self.artifacts}/{name}" if self.artifacts else None
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self.experiment_id = (
            experiment.experiment_id
            if experiment
            else self.client.create_experiment(name, artifact_location=where)
        )
        parents = []
        for run in self._all_runs():
            tags = run.data.tags
            stage_id = tags.get("stage_id", "")
            if tags.get("kind") == "sweep":
                parents.append(run.info.run_id)
            elif stage_id in self.run_ids:
                self.client.delete_run(run.info.run_id)
            elif stage_id:
                self.run_ids[stage_id] = run.info.run_id
                if run.info.status == "FINISHED" and ARRIVED in run.data.metrics:
                    self.finished.add(stage_id)
        for twin in parents[1:]:
            self.client.delete_run(twin)
        self.parent_id = parents[0] if parents else self._create_parent()
        record = json.dumps(plan_record(self.plan, self.commit)).encode()
        self._log_file(self.parent_id, "plan.json", record)

    def record(self, stage: Stage) -> None:
        """Bring the run of one stage up to date with the store; does nothing the second time."""
        if stage.id in self.finished:
            return
        if self.store.committed([stage.id]):
            try:
                self._record_commit(stage, self.store.read_commit(stage.id))
            except DamagedError:
                self.store.set_aside(stage.id)  # the runner sees that it is missing, and makes it
                return
            self.finished.add(stage.id)
        elif (failure := self.store.failure(stage.id)) is not None:
            run_id = self._run_of(stage, failure["failed_at"], "")
            self.client.set_tag(run_id, "reason", failure["reason"][:5000])
            self._log_file(run_id, "traceback.txt", failure["traceback"].encode())
            self.client.set_terminated(run_id, "FAILED", milliseconds(failure["failed_at"]))

    def close(self, status: str) -> None:
        """Record whatever is still missing, and end the parent run."""
        for stage in self.plan.stages.values():
            self.record(stage)
        self.client.set_terminated(self.parent_id, status)

    def _record_commit(self, stage: Stage, commit: Commit) -> None:
        run_id = self._run_of(stage, commit.started_at, commit.code)
        self._log_metrics(run_id, stage, commit)
        for name in commit.artifacts:
            if name.endswith(".parquet"):
                self._log_file(run_id, name, self.store.read(stage.id, name))
        self.client.set_terminated(run_id, "FINISHED", milliseconds(commit.finished_at))
        # last: who exports now and does not see the run yet finds it later by this time
        self.client.log_metric(run_id, ARRIVED, time.time())

    def _make_folders(self) -> None:
        """SQLite makes its file, but not the folder."""
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)

    def _create_parent(self) -> str:
        name = self.plan.spec.name
        tags = {"kind": "sweep", "mlflow.note.content": f"The sweep {name}: its plan and its runs."}
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"sweep {name}")
        return str(run.info.run_id)

    def _run_of(self, stage: Stage, started_at: float, code: str) -> str:
        """The run of a stage, made if need be."""
        if stage.id not in self.run_ids:
            run = self.client.create_run(
                self.experiment_id,
                start_time=milliseconds(started_at),
                tags={**self._tags(stage, code), PARENT: self.parent_id},
                run_name=self.plan.describe(stage),
            )
            self.run_ids[stage.id] = run.info.run_id
        return self.run_ids[stage.id]

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

    def _tags(self, stage: Stage, code: str) -> dict[str, str]:
        """What a run is found and filtered by; the export reads the tags of score runs."""
        tags = {"stage_id": stage.id, "kind": stage.kind, "method": stage.config["method"]["name"]}
        if stage.kind == "score":
            trial = next(trial for trial in self.plan.trials_of[stage.id] if trial.id == stage.id)
            spec, split = self.plan.spec, trial.split
            tags |= {
                "trial_id": trial.id,
                "title": trial.title,
                "dataset": split.benchmark,
                "protocol": split.protocol,
                "split": str(split.index),
                "seed": str(trial.seed),
                "recipe": spec.recipe,
                "selection": "none",
                "commit": code or self.commit,
                "num_known": str(len(split.known)),
                "num_unknown": str(len(split.unknown)),
                "openness": repr(split.openness),
                "hyperparameters": json.dumps(trial.hyperparameters, sort_keys=True),
                "backbone": json.dumps(trial.backbone, sort_keys=True),
                "training": json.dumps(trial.training, sort_keys=True),
            }
            return tags
        task = stage.config["task"]
        tags |= {"dataset": task["dataset"], "split": str(task["split"])}
        if stage.kind == "fit":
            tags |= {"seed": str(stage.config["seed"]), "member": str(stage.config["member"])}
        return tags

    def _log_metrics(self, run_id: str, stage: Stage, commit: Commit) -> None:
        at = milliseconds(commit.finished_at)
        points = [Metric(name, value, at, 0) for name, value in commit.metrics.items()]
        points.append(Metric("wall_s", commit.wall_s, at, 0))
        if "history.parquet" in commit.artifacts:
            history = pq.read_table(pa.BufferReader(self.store.read(stage.id, "history.parquet")))
            points = [
                Metric(row["metric"], row["value"], at, row["epoch"]) for row in history.to_pylist()
            ]
        params = [Param(key, str(value)) for key, value in stage.config["method"].items()]
        self.client.log_batch(run_id, metrics=points[:METRICS_PER_CALL], params=params)
        for start in range(METRICS_PER_CALL, len(points), METRICS_PER_CALL):
            self.client.log_batch(run_id, metrics=points[start : start + METRICS_PER_CALL])

    def _log_file(self, run_id: str, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self.client.log_artifact(run_id, str(path))


def milliseconds(seconds: float) -> int:
    """MLflow's unit of time."""
    return round(seconds * 1000)


def make_tracker(plan: Plan, store: Store, home: Home, commit: str) -> Tracker:
    """A tracker that knows what MLflow holds of the sweep."""
    tracker = Tracker(plan, store, home.tracking_uri, home.artifact_uri, commit)
    tracker.open()
    return tracker


def synchronise(plan: Plan, store: Store, home: Home, commit: str) -> int:
    """Write all that MLflow lacks of a sweep; the number of stages that it then holds.

    Raises:
        TrackingError: MLflow cannot be reached or does not take it.
    """
    done = store.committed(trial.id for trial in plan.trials)
    try:
        tracker = make_tracker(plan, store, home, commit)
        tracker.close("FINISHED" if len(done) == len(plan.trials) else "FAILED")
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow at {home.tracking_uri} does not take the runs: {error}. Results are safe on "
            "the store; try again when it is back."
        ) from error
    return len(tracker.finished)
