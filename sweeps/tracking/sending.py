"""What is sent to a run in MLflow, in pieces that it takes."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

METRICS_PER_CALL = 900  # MLflow takes 1,000 metrics, params and tags in one call


def send_points(
    client: MlflowClient,
    run_id: str,
    points: Sequence[Metric],
    params: Mapping[str, str],
    tags: Sequence[RunTag] = (),
) -> None:
    """All of a run's points, whatever their number."""
    of_run = [Param(*each) for each in params.items()]
    client.log_batch(run_id, points[:METRICS_PER_CALL], of_run, tags)
    for start in range(METRICS_PER_CALL, len(points), METRICS_PER_CALL):
        client.log_batch(run_id, points[start : start + METRICS_PER_CALL])


def send_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """Artifacts of a run by name."""
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)
