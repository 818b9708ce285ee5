"""MLflow: a picture of the store that can be rebuilt at any time. Writing it twice changes nothing.

One experiment per sweep, in it one parent run (the plan) and one child run per finished or failed
stage, found again by its tag `stage_id`. Metric points carry the times of the store's commit, so a
point sent twice is one point.
"""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.home import silence

silence()

import mlflow  # noqa: E402  (reads its environment at import)
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from mlflow.entities import Metric, Param, Run, RunStatus, ViewType  # noqa: E402

from osr_core.stage import Stage  # noqa: E402
from sweeps.plan import Plan  # noqa: E402
from sweeps.record import plan_record  # noqa: E402
from sweeps.store import Commit, Store  # noqa: E402

PARENT = "mlflow.parentRunId"
METRICS_PER_CALL = 1000  # MLflow's limit on one log_batch


@dataclass
class Tracker:
    """Projects one sweep from the store into MLflow."""

    plan: Plan
    store: Store
    uri: str
    artifacts: str
    commit: str  # the version of the code, for the parent run
    runs: dict[str, Run] = field(default_factory=dict)  # by stage id

    def open(self) -> None:
        """Find or make the experiment, the parent run and the map of what is there already."""
        mlflow.set_tracking_uri(self.uri)
        self.client = mlflow.MlflowClient(self.uri)
        name = self.plan.spec.name
        experiment = self.client.get_experiment_by_name(name)
        self.experiment_id = (
            experiment.experiment_id
            if experiment
            else self.client.create_experiment(name, artifact_location=f"{self.artifacts}/{name}")
        )
        for run in self._all_runs():
            if run.data.tags.get("kind") == "sweep":
                self.parent = run
            elif stage_id := run.data.tags.get("stage_id"):
                self.runs[stage_id] = run
        if not hasattr(self, "parent"):
            tags = {"kind": "sweep", "mlflow.note.content": f"The sweep {name}: plan and runs."}
            self.parent = self.client.create_run(
                self.experiment_id, tags=tags, run_name=f"sweep {name}"
            )
        self.client.update_run(self.parent.info.run_id, status="RUNNING")
        self._log_file(
            self.parent, "plan.json", json.dumps(plan_record(self.plan, self.commit)).encode()
        )

    def record(self, stage: Stage) -> None:
        """Bring the run of one stage up to date with the store; does nothing the second time."""
        run = self.runs.get(stage.id)
        if run is not None and run.info.status == "FINISHED":
            return
        failure = None
        if self.store.committed([stage.id]):
            commit = self.store.read_commit(stage.id)
        elif (failure := self.store.failure(stage.id)) is None:
            return
        started_at = commit.started_at if failure is None else failure["failed_at"]
        if run is None:
            run = self._create(stage, started_at)
        run_id = run.info.run_id
        if failure is None:
            self._log_metrics(run_id, stage, commit)
            for name in ("history.parquet", "scores.parquet"):
                if name in commit.artifacts:
                    self._log_file(run, name, self.store.read(stage.id, name))
        else:
            self.client.set_tag(run_id, "reason", failure["reason"][:5000])
            self._log_file(run, "traceback.txt", failure["traceback"].encode())
        status = "FINISHED" if failure is None else "FAILED"
        ended_at = commit.finished_at if failure is None else failure["failed_at"]
        self.client.set_terminated(run_id, status, end_time=milliseconds(ended_at))
        self.runs[stage.id] = self.client.get_run(run_id)

    def close(self, complete: bool) -> None:
        """Record whatever is still missing, and end the parent run."""
        for stage in self.plan.stages.values():
            self.record(stage)
        status = RunStatus.to_string(RunStatus.FINISHED if complete else RunStatus.FAILED)
        self.client.set_terminated(self.parent.info.run_id, status)

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

    def _create(self, stage: Stage, started_at: float) -> Run:
        tags = {**self._tags(stage), PARENT: self.parent.info.run_id}
        run = self.client.create_run(
            self.experiment_id,
            start_time=milliseconds(started_at),
            tags=tags,
            run_name=self.plan.describe(stage),
        )
        params = {key: str(value) for key, value in stage.config.get("method", {}).items()}
        self.client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in params.items()])
        return run

    def _tags(self, stage: Stage) -> dict[str, str]:
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
                "commit": self.commit,
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
        for start in range(0, len(points), METRICS_PER_CALL):
            self.client.log_batch(run_id, metrics=points[start : start + METRICS_PER_CALL])

    def _log_file(self, run: Run, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self.client.log_artifact(run.info.run_id, str(path))


def milliseconds(seconds: float) -> int:
    """MLflow's unit of time."""
    return round(seconds * 1000)
