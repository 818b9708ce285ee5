"""A real MLflow database, filled as sweeps/tracking/tracker.py fills it."""

import json
import shutil
import time

import pyarrow as pa
import pyarrow.parquet as pq
from handmade import planned_trial, run_of
from mlflow import MlflowClient
from mlflow.entities import Metric

from analysis.exports.schema import METRICS, RESULTS
from osr_core.tables import HISTORY_SCHEMA, SCORES_SCHEMA

FILES = ("runs.parquet", "history.parquet", "scores.parquet")
SWEEP = "hand_made"


class Store:
    """An MLflow database on SQLite, and what a tracker writes into it."""

    def __init__(self, folder, database):
        self.uri = f"sqlite:///{shutil.copy(database, folder / 'mlflow.db')}"
        self.folder = folder / "artifacts"
        self.client = MlflowClient(self.uri)

    def sweep(self, trials, stages=(), name=SWEEP, purposes=()):
        """A sweep's experiment and parent run with its plan."""
        self.experiment = self.client.create_experiment(name, f"{self.folder}/{name}")
        self.parent = self.run({"kind": "sweep"})
        self.plan(trials, stages, purposes)

    def plan(self, trials, stages=(), purposes=(), leaves=(), searches=()):
        """Write the plan, in place of an older one; `leaves` has tables by other kinds."""
        record = {"sweep": SWEEP, "protocol": "cac", "recipe": "common", "code": "1a2b3c4"}
        record["spec"] = {"backbone": {}, "training": {}}
        record["trials"] = [facts_of(trial) for trial in trials]
        for facts in record["trials"]:
            facts["purpose"] = dict(purposes).get(facts["trial_id"], "evaluate")
        record["leaves"] = {"fit": [FILES[1]], "score": [FILES[2], "embeddings.parquet"]}
        record["leaves"] |= {"pmal.mine": ["mined.parquet"], **dict(leaves)}
        record["searches"] = list(searches)
        record["stages"] = [
            {"stage_id": trial.trial_id, "kind": "score", "inputs": []} for trial in trials
        ]
        record["stages"] += [
            {
                "stage_id": stage_id,
                "kind": "fit",
                "inputs": [],
                "method": "cac",
                "dataset": "svhn",
                "split": int(stage_id[-1]),
                "seed": 0,
                "member": 0,
            }
            for stage_id in stages
        ]
        self.client.log_text(self.parent.info.run_id, json.dumps(record), "plan.json")

    def run(self, tags, metrics=(), files=(), status="FINISHED", start_time=None):
        """One run with everything it has; gives the run."""
        run = self.client.create_run(self.experiment, start_time=start_time, tags=tags)
        run_id = run.info.run_id
        self.client.log_batch(
            run_id, metrics=[Metric(k, v, 1, 0) for k, v in dict(metrics).items()]
        )
        for name, content in dict(files).items():
            path = self.folder / name
            pq.write_table(content, path)
            self.client.log_artifact(run_id, str(path))
        self.client.set_terminated(run_id, status)
        self.client.log_metric(run_id, "arrived_at_s", time.time())
        return run

    def score(self, trial, status="FINISHED", start_time=None, **metrics):
        """The score run of a trial."""
        row = run_of(trial, **metrics)
        return self.run(
            {"stage_id": trial.trial_id, "kind": "score", "code": row["commit"]},
            {f"test/{name}": row[name] for name in METRICS} | {"wall_s": 12.3},
            {"scores.parquet": scores_of(trial)},
            status,
            start_time,
        )

    def fit(self, stage_id, status="FINISHED", losses=(0.5, 0.25)):
        """The run of a fit."""
        tags = {"stage_id": stage_id, "kind": "fit", "code": "1a2b3c4"}
        rows = [
            {"epoch": epoch, "metric": metric, "value": value}
            for epoch, value in enumerate(losses, start=1)
            for metric in ("tuplet", "anchor")
        ]
        history = pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)
        return self.run(tags, files={"history.parquet": history}, status=status)


def facts_of(trial):
    """What a plan's record says of a trial."""
    row = run_of(trial)
    facts = {name: row[name] for name in row if name not in RESULTS}
    settings = ("hyperparameters", "backbone", "training")
    return facts | {name: json.loads(row[name]) for name in settings}


def scores_of(trial):
    """Scores of four test images, which differ between splits."""
    return pa.table(
        {
            "image_id": [f"svhn/test/{position}" for position in (7, 3, 5, 1)],
            "label": [0, 1, 1, -1],
            "predicted": [0, 1, 0, 0],
            "unknown_score": [0.1, 0.2, 0.3 + trial.split, 0.25],
            "logits": [[1.0, 0.0]] * 4,
            "class_name": ["7", "3", "3", "9"],
        },
        schema=SCORES_SCHEMA,
    )


def content(folder):
    """The bytes of an export."""
    return [(folder / name).read_bytes() for name in FILES]


TRIALS = [planned_trial("CAC", split=split, alpha=10.0) for split in (1, 0, 2)]
