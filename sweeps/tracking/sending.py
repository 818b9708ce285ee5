"""What is sent to a run in MLflow, in pieces that it takes."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

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
        try:
            client.log_artifacts(run_id, folder)
        except PermissionError:  # another user's files of these names: only they may set their mode
            _forget(client.get_run(run_id).info.artifact_uri, files)
            client.log_artifacts(run_id, folder)


def _forget(artifact_uri: str, names: Iterable[str]) -> None:
    """Delete files of a run that lie in a folder; in a home that is shared, its group may."""
    place = Path(url2pathname(urlsplit(artifact_uri).path))
    for name in names:
        (place / name).unlink(missing_ok=True)
