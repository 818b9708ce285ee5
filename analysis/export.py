"""MLflow -> runs.parquet, history.parquet and scores.parquet of one sweep (see `analysis.schema`).

What MLflow holds (sweeps/tracking.py writes it): an experiment of the sweep's name; in it one run
of kind "sweep" with the artifact plan.json, and one run per stage with the tags stage_id and kind.
A "score" run carries the trial's description as tags, its metrics, and the artifact scores.parquet;
a "fit" run carries the artifact history.parquet.

Equal content of MLflow gives equal bytes. Each file is written whole or not at all, runs.parquet
last. Only this module of `analysis` needs mlflow, and imports it when an export begins.
"""

import json
import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import (
    HISTORY,
    HISTORY_COLUMNS,
    HISTORY_ORDER,
    METRICS,
    RUN_COLUMNS,
    RUNS,
    RUNS_ORDER,
    SCORES,
    Column,
    Plan,
    PlannedTrial,
    canonical_json,
    history_schema,
    runs_schema,
    scores_schema,
)
from osr_core.errors import ConfigError, OsrError, unknown_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000  # runs per request to MLflow


class ExportError(OsrError):
    """MLflow cannot be read, or does not hold what an export needs."""


@dataclass(frozen=True)
class Export:
    """What an export wrote, and what it could not."""

    folder: Path
    plan: Plan
    num_finished: int  # trials in runs.parquet
    missing: tuple[PlannedTrial, ...]  # planned, but not finished

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(self.folder / name for name in (RUNS, HISTORY, SCORES))


def export(tracking_uri: str, sweep: str, folder: Path) -> Export:
    """Write the three files of a sweep into `folder`, in place of older ones.

    What the sweep's plan names is exported; finished runs of an earlier plan are left out.

    Raises:
        ConfigError: no sweep of this name; says which there are.
        ExportError: no MLflow database; more than one finished run of a trial or a fit; a run
            without one of its tags, metrics or artifacts.
    """
    with _connected(tracking_uri) as client:
        runs = _runs(client, sweep)
        values = json.loads(_artifact(client, _sweep_run(runs, sweep), "plan.json"))
        plan = Plan.from_json(values)
        trials = _finished(runs, "score", "trial_id", {trial.trial_id for trial in plan.trials})
        fits = _finished(runs, "fit", "stage_id", {stage["stage_id"] for stage in values["stages"]})

        folder.mkdir(parents=True, exist_ok=True)
        with _written(folder / SCORES, scores_schema()) as file:
            for trial_id, run in trials.items():
                scores = _parquet(client, run, SCORES)
                file.write_table(_filled(scores, scores_schema(), {"trial_id": trial_id}))
        with _written(folder / HISTORY, history_schema()) as file:
            histories = [_history(client, run, sweep) for run in fits.values()]
            file.write_table(_sorted(histories, history_schema(), HISTORY_ORDER))
        with _written(folder / RUNS, runs_schema(plan)) as file:
            rows = [_described(run, RUN_COLUMNS, sweep) for run in trials.values()]
            table = pa.Table.from_pylist(rows, schema=runs_schema(plan))
            file.write_table(_sorted([table], runs_schema(plan), RUNS_ORDER))
    missing = tuple(trial for trial in plan.trials if trial.trial_id not in trials)
    return Export(folder, plan, len(trials), missing)


# -- what MLflow holds -----------------------------------------------------------------------------


@contextmanager
def _connected(tracking_uri: str) -> Iterator["MlflowClient"]:
    """A client of MLflow, whose complaints leave as ExportError."""
    if tracking_uri.startswith("sqlite:///"):
        database = Path(tracking_uri.removeprefix("sqlite:///"))
        if not database.is_file():  # MLflow would make an empty one
            raise ExportError(
                f"there is no MLflow database at {database}; `osr run` makes it, and `osr sync` "
                "makes it anew from the store."
            )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        yield MlflowClient(tracking_uri)
    except MlflowException as error:
        raise ExportError(
            f"MLflow at {tracking_uri} did not answer as it should: {error}"
        ) from error


def _runs(client: "MlflowClient", sweep: str) -> list["Run"]:
    """All runs of the sweep's experiment, by start time.

    Pages are counted by position: a run that arrives meanwhile can bring one twice, never hide one.
    """
    experiment = client.get_experiment_by_name(sweep)
    if experiment is None or experiment.lifecycle_stage != "active":
        names = {other.name for other in client.search_experiments()} - {"Default"}
        raise ConfigError(unknown_name("sweep", sweep, names) + " `osr run` starts one.")
    runs: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs |= {run.info.run_id: run for run in page}
        token = page.token
        if not token:
            return list(runs.values())


def _sweep_run(runs: Iterable["Run"], sweep: str) -> "Run":
    """The one run that holds the plan."""
    found = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    if len(found) != 1:
        ids = ", ".join(run.info.run_id for run in found) or "none"
        raise ExportError(
            f"MLflow's experiment '{sweep}' must hold exactly one run of kind 'sweep', which has "
            f"the plan; it holds {len(found)} ({ids}). `osr sync` makes a missing one; delete one "
            "too many in `osr ui`."
        )
    return found[0]


def _finished(
    runs: Iterable["Run"], kind: str, tag: str, wanted: Container[str]
) -> dict[str, "Run"]:
    """The finished runs of a kind by their id under `tag`, sorted; each id has one run."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        tags = run.data.tags
        if run.info.status == "FINISHED" and tags.get("kind") == kind and tags.get(tag) in wanted:
            found[tags[tag]].append(run)
    for name, same in found.items():
        if len(same) > 1:
            ids = ", ".join(sorted(run.info.run_id for run in same))
            raise ExportError(
                f"{tag} {name} has {len(same)} finished runs in MLflow: {ids}. A {kind} counts "
                "once and an export does not choose; delete all but one in `osr ui`."
            )
    return {name: found[name][0] for name in sorted(found)}


def _described(run: "Run", columns: Iterable[Column], sweep: str) -> dict[str, Any]:
    """The values of `columns` from a run's tags and metrics."""
    try:
        return {column.name: _value(run, column, sweep) for column in columns}
    except KeyError as error:
        raise ExportError(
            f"the finished {run.data.tags['kind']} run {run.info.run_id} lacks {error}. Delete it "
            "in `osr ui`; `osr sync` then writes it anew."
        ) from None


def _value(run: "Run", column: Column, sweep: str) -> Any:
    if column.name == "sweep":
        return sweep
    if column.name in METRICS:
        return run.data.metrics[f"test/{column.name}"]
    text = run.data.tags[column.name]
    if column.unit == "canonical JSON":
        return canonical_json(json.loads(text))
    if pa.types.is_integer(column.type):
        return int(text)
    return float(text) if pa.types.is_floating(column.type) else text


def _history(client: "MlflowClient", run: "Run", sweep: str) -> pa.Table:
    """The history of one fit with the columns that say whose it is."""
    history = _parquet(client, run, HISTORY)
    own = [column for column in HISTORY_COLUMNS if column.name not in history.column_names]
    return _filled(history, history_schema(), _described(run, own, sweep))


def _parquet(client: "MlflowClient", run: "Run", name: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(_artifact(client, run, name)))


def _artifact(client: "MlflowClient", run: "Run", name: str) -> bytes:
    """The content of a run's artifact; where it lies on this machine it is read in place."""
    uri = run.info.artifact_uri
    scheme = urlsplit(uri).scheme
    if scheme in ("", "file"):
        root = Path(url2pathname(urlsplit(uri).path) if scheme else uri)
        return _content(root / name, run)
    with TemporaryDirectory() as folder:
        return _content(Path(client.download_artifacts(run.info.run_id, name, folder)), run)


def _content(path: Path, run: "Run") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(
            f"artifact {path.name} of run {run.info.run_id} cannot be read at {path}: "
            f"{error.strerror}. Delete the run in `osr ui`; `osr sync` then writes it anew."
        ) from None


# -- files -----------------------------------------------------------------------------------------


def _filled(table: pa.Table, schema: pa.Schema, constants: Mapping[str, Any]) -> pa.Table:
    """`table` in the order and types of `schema`, the columns that it lacks from `constants`."""
    columns = [
        pa.repeat(pa.scalar(constants[field.name], field.type), len(table))
        if field.name in constants
        else table[field.name].cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _sorted(tables: Iterable[pa.Table], schema: pa.Schema, order: Iterable[str]) -> pa.Table:
    table = pa.concat_tables([schema.empty_table(), *tables])
    return table.sort_by([(name, "ascending") for name in order])


@contextmanager
def _written(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file takes its place at `path` when it is complete and on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
