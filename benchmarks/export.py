"""Seconds to export a large sweep: ours beside what MLflow's own client offers.

The sweep has FITS runs with histories of EPOCHS epochs and as many score runs. Its MLflow database
is made by writing straight into SQLite's tables, which takes seconds where the client takes hours.

The other way is `mlflow.search_runs` and then `get_metric_history` once per metric of every fit; it
is timed on a sample of the fits and multiplied, and says so. It reads no scores of test images.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.schema import METRICS
from osr_core.tables import HISTORY_SCHEMA, SCORES_SCHEMA

FITS = 10_000
EPOCHS = 100
FIT_METRICS = ("loss", "val_accuracy", "wall_s")
IMAGES = 200  # test images of each trial
SAMPLE = 40  # fits whose metric histories are asked for
SWEEP = "large"
OURS = (
    "import sys; from pathlib import Path; from analysis.exports.write import export; "
    "from osr_core.machine import peak_memory_megabytes; "
    "export(sys.argv[1], sys.argv[2], Path(sys.argv[3])); print(peak_memory_megabytes())"
)


def measure() -> dict[str, Any]:
    """Seconds, memory and what was measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        start = time.perf_counter()
        command = [sys.executable, "-c", OURS, uri, SWEEP, str(folder / "export")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        ours, peak = time.perf_counter() - start, float(done.stdout.split()[-1])
        rows = pq.read_metadata(folder / "export" / "history.parquet").num_rows
        assert rows == FITS * EPOCHS * len(FIT_METRICS), rows
        assert pq.read_metadata(folder / "export" / "runs.parquet").num_rows == FITS
        result = {
            "runs": 2 * FITS,
            "history_rows": rows,
            "ours_s": round(ours, 1),
            "ours_peak_mb": round(peak),
            **theirs(uri),
        }
    result["ratio"] = round(result["client_s_extrapolated"] / ours, 1)
    print("   " + "  ".join(f"{key} {value}" for key, value in result.items()))
    return result


def theirs(uri: str) -> dict[str, Any]:
    """`search_runs`, and `get_metric_history` of a sample of the fits."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    start = time.perf_counter()
    frame = mlflow.search_runs(experiment_names=[SWEEP], max_results=100_000)
    searched = time.perf_counter() - start
    fits = frame[frame["tags.kind"] == "fit"]["run_id"]
    client = mlflow.MlflowClient(uri)
    start = time.perf_counter()
    for run_id in fits[:SAMPLE]:
        for metric in FIT_METRICS:
            assert len(client.get_metric_history(run_id, metric)) == EPOCHS
    per_fit = (time.perf_counter() - start) / SAMPLE
    return {
        "client_search_s": round(searched, 1),
        "client_history_s_per_fit": round(per_fit, 4),
        "client_fits_timed": SAMPLE,
        "client_s_extrapolated": round(searched + per_fit * FITS, 1),
    }


def make(folder: Path) -> None:
    """An MLflow database and artifacts of a finished sweep."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment(SWEEP, f"{folder / 'artifacts'}")
    write_artifacts(folder)
    database = sqlite3.connect(folder / "mlflow.db")
    database.execute("PRAGMA synchronous = OFF")
    insert(database, "runs", run_rows(folder, experiment))
    insert(database, "tags", tag_rows())
    insert(database, "latest_metrics", metric_rows(epochs=(EPOCHS,)))
    insert(database, "metrics", metric_rows(epochs=range(1, EPOCHS + 1)))
    database.commit()
    database.close()


def insert(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """All rows of a table, which have the same columns."""
    rows = iter(rows)
    first = next(rows)
    names = ", ".join(first)
    marks = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    database.execute(statement, first)
    database.executemany(statement, rows)


def run_rows(folder: Path, experiment: str) -> Iterable[dict[str, Any]]:
    """The sweep's run and two of each trial."""
    names = ["sweep", *(f"{kind}{n:06d}" for kind in ("fit", "score") for n in range(FITS))]
    for number, name in enumerate(names):
        yield {
            "run_uuid": name,
            "name": name,
            "source_type": "LOCAL",
            "user_id": "",
            "status": "FINISHED",
            "start_time": number,
            "end_time": number + 1,
            "lifecycle_stage": "active",
            "artifact_uri": str(folder / "artifacts" / name),
            "experiment_id": int(experiment),
        }


def tag_rows() -> Iterable[dict[str, Any]]:
    """What sweeps/tracking/tracker.py writes on each run, as far as an export reads it."""
    yield {"run_uuid": "sweep", "key": "kind", "value": "sweep"}
    for kind in ("fit", "score"):
        for number in range(FITS):
            name = f"{kind}{number:06d}"
            for key, value in {"kind": kind, "stage_id": name, "code": "1a2b3c4"}.items():
                yield {"run_uuid": name, "key": key, "value": value}


def metric_rows(epochs: Iterable[int]) -> Iterable[dict[str, Any]]:
    """Points of every fit at `epochs`, and the metrics of every score."""
    for number in range(FITS):
        fixed = {"timestamp": number, "is_nan": 0}
        for name in METRICS:
            score = {"run_uuid": f"score{number:06d}", "key": f"test/{name}", "value": 0.9}
            yield {**score, "step": 0, **fixed}
        for metric in FIT_METRICS:
            fit = {"run_uuid": f"fit{number:06d}", "key": metric}
            for epoch in epochs:
                yield {**fit, "value": epoch / EPOCHS, "step": epoch, **fixed}


def plan_record() -> dict[str, Any]:
    """What sweeps/planning/record.py says of the sweep, as far as an export reads it."""
    of_all = {"method": "cac", "dataset": "svhn"}
    trial: dict[str, Any] = {
        **of_all,
        "title": "CAC",
        "hyperparameters": {"alpha": 10.0},
        "recipe": "common",
        "purpose": "evaluate",
    }
    trial |= {"backbone": {"name": "osrci"}, "training": {"epochs": EPOCHS}, "protocol": "cac"}
    trial |= {"num_known": 6, "num_unknown": 4, "openness": 0.13, "selection": "none"}
    own = [{"split": number % 5, "seed": number // 5} for number in range(FITS)]
    fits = [{"stage_id": f"fit{n:06d}", "member": 0, **of_all, **own[n]} for n in range(FITS)]
    return {
        "sweep": SWEEP,
        "protocol": "cac",
        "recipe": "common",
        "code": "1a2b3c4",
        "spec": {"backbone": {}, "training": {}},
        "trials": [{"trial_id": f"score{n:06d}", **trial, **own[n]} for n in range(FITS)],
        "leaves": {"fit": ["history.parquet"], "score": ["scores.parquet"]},
        "stages": [*fits, *({"stage_id": f"score{n:06d}"} for n in range(FITS))],
    }


def write_artifacts(folder: Path) -> None:
    """plan.json, a history per fit and scores per trial; their content is the same everywhere."""
    history = pa.Table.from_pylist(
        [
            {"epoch": epoch, "metric": metric, "value": epoch / EPOCHS}
            for epoch in range(1, EPOCHS + 1)
            for metric in FIT_METRICS
        ],
        schema=HISTORY_SCHEMA,
    )
    scores = pa.Table.from_pylist(
        [
            {
                "image_id": f"svhn/test/{position}",
                "label": position % 7 - 1,
                "predicted": position % 6,
                "unknown_score": position / IMAGES,
                "logits": [position / IMAGES] * 6,
                "class_name": str(position % 7),
            }
            for position in range(IMAGES)
        ],
        schema=SCORES_SCHEMA,
    )
    bytes_of = {}
    for name, table in (("history.parquet", history), ("scores.parquet", scores)):
        pq.write_table(table, folder / name, compression="zstd")
        bytes_of[name] = (folder / name).read_bytes()
    where = [("sweep", "plan.json", json.dumps(plan_record()).encode())]
    for number in range(FITS):
        where.append((f"fit{number:06d}", "history.parquet", bytes_of["history.parquet"]))
        where.append((f"score{number:06d}", "scores.parquet", bytes_of["scores.parquet"]))
    for run, name, content in where:
        place = folder / "artifacts" / run
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
