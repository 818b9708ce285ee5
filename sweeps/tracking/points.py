"""Points of a run's curves in MLflow, from what its stage left or has told so far. Pure.

Each carries a time of the store's own, the same while the stage runs and later, so a point that is
sent twice is one point.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities import Metric

from osr_core.results.commit import Commit
from sweeps.running.machine import MACHINE


def points_of(result: Commit, files: Mapping[str, bytes]) -> list[Metric]:
    """Epochs of a fit, or the numbers of another stage; and what the machine did meanwhile."""
    at = milliseconds(result.finished_at)
    if "history.parquet" in files:
        times = dict(enumerate(result.epochs_at, start=1))
        points = [
            Metric(
                row["metric"],
                row["value"],
                milliseconds(times.get(row["epoch"]) or result.finished_at),
                row["epoch"],
            )
            for row in rows_of(files["history.parquet"])
        ]
    else:
        points = [Metric(name, value, at, 0) for name, value in result.metrics.items()]
        points.append(Metric("wall_s", result.wall_s, at, 0))
    return [*points, *_of_machine(files.get(MACHINE))]


def points_so_far(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """Those of the epochs that a fit has told of (see `Attempts.save_progress`)."""
    return [
        Metric(name, value, milliseconds(row["at"]), row["epoch"])
        for row in rows
        for name, value in row.items()
        if name not in ("epoch", "at")
    ]


def _of_machine(content: bytes | None) -> Iterator[Metric]:
    for step, row in enumerate(rows_of(content) if content else ()):
        for name, value in row.items():
            if name != "at" and value is not None:  # a GPU is seen once it is used
                yield Metric(f"system/{name}", value, milliseconds(row["at"]), step)


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of an artifact in Parquet."""
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def milliseconds(seconds: float) -> int:
    """MLflow's unit of time."""
    return round(seconds * 1000)
