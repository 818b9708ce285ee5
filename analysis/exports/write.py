"""MLflow -> the Parquet files of one sweep (see `schema`).

What MLflow holds (sweeps/tracking writes it): an experiment of the sweep's name; in it one run of
kind "sweep" with the artifact plan.json, and one run per stage with the tags stage_id and kind.
Each finished one has the metric arrived_at_s, the time at which MLflow held all of it.
A "score" run carries the trial's description as tags, its metrics, and the artifact scores.parquet,
perhaps embeddings.parquet; a "fit" run carries history.parquet, a "pmal.mine" run mined.parquet.

Runs are listed in pages and artifacts read in batches (see `parts`), so that memory does not grow
with the sweep, and an export that was interrupted goes on where it stopped. Equal content of MLflow
gives equal bytes. Each file is written whole or not at all, runs.parquet last. Only this module of
`analysis` needs mlflow, and imports it when an export begins.
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.exports.parts import FILES, PARTS, File, combined, ordered, put_together, written
from analysis.exports.read import read_links, read_runs
from analysis.exports.schema import (
    EMBEDDINGS,
    HISTORY,
    HISTORY_COLUMNS,
    LINKS,
    METRICS,
    MINED,
    MINED_COLUMNS,
    RUN_COLUMNS,
    RUNS,
    RUNS_ORDER,
    SCORES,
    Column,
    Plan,
    PlannedTrial,
    canonical_json,
    links_schema,
    runs_schema,
)
from osr_core.errors import ConfigError, OsrError, unknown_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000  # runs per request to MLflow
IDS = {"score": "trial_id", "fit": "stage_id", "pmal.mine": "stage_id"}  # tags, by kind of run
OWN = {  # columns that a run's tags say, by kind
    "score": RUN_COLUMNS,
    "fit": tuple(c for c in HISTORY_COLUMNS if c.name not in ("epoch", "metric", "value")),
    "pmal.mine": tuple(c for c in MINED_COLUMNS if c.name in ("stage_id", "dataset", "split")),
}


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
        names = (RUNS, HISTORY, SCORES, MINED, EMBEDDINGS, LINKS)
        return tuple(self.folder / name for name in names if (self.folder / name).is_file())


@dataclass(frozen=True)
class Found:
    """A finished run: as little of it as an export needs."""

    run_id: str
    experiment_id: str
    artifact_uri: str  # "" for a run whose rows are taken from the older export
    values: Mapping[str, Any]  # columns that its tags and metrics say


def export(tracking_uri: str, sweep: str, folder: Path, since: datetime | None = None) -> Export:
    """Write the files of a sweep into `folder`, in place of older ones.

    What the sweep's plan names is exported; finished runs of an earlier plan are left out. With
    `since`, only runs that reached MLflow then or later are read from it, whenever they ended, and
    the others' rows are kept from the export that is there.

    Raises:
        ConfigError: no sweep of this name; says which there are.
        ExportError: no MLflow database; more than one finished run of a trial or a stage; a run
            without one of its tags, metrics or artifacts; `since` without an older export.
    """
    with _connected(tracking_uri) as client:
        experiment_id = _experiment(client, sweep)
        values = json.loads(
            _artifact(client, *_sweep_run(client, experiment_id, sweep), "plan.json")
        )
        plan = Plan.from_json(values)
        stages = {stage["stage_id"] for stage in values["stages"]}
        wanted = {"score": {t.trial_id for t in plan.trials}, "fit": stages, "pmal.mine": stages}
        found = _finished(_listed(client, experiment_id, since), wanted, sweep)
        if since is not None:
            _keep(found, folder, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        _write(client, found, plan, folder)
    missing = tuple(trial for trial in plan.trials if trial.trial_id not in found["score"])
    return Export(folder, plan, len(found["score"]), missing)


def _write(
    client: "MlflowClient", found: Mapping[str, Mapping[str, Found]], plan: Plan, folder: Path
) -> None:
    """All files, runs.parquet last; parts of an earlier attempt are used, and gone afterwards."""
    for file in FILES:
        runs = found[file.kind]
        if file.optional:
            older = _ids(folder / file.name, file.key)
            runs = {i: r for i, r in runs.items() if _has(client, r, file.name, i in older)}
            if not runs:
                (folder / file.name).unlink(missing_ok=True)
                continue
        sources = {i: run.run_id for i, run in runs.items()}
        put_together(
            folder / file.name, file.schema, sources, partial(_rows, client, file, runs, folder)
        )
    links = [
        {"stage_id": i, "kind": kind, "experiment_id": run.experiment_id, "run_id": run.run_id}
        for kind, runs in found.items()
        for i, run in runs.items()
    ]
    with written(folder / LINKS, links_schema()) as out:
        table = pa.Table.from_pylist(links, schema=links_schema())
        out.write_table(ordered(table, ("stage_id", "kind")))
    with written(folder / RUNS, runs_schema(plan)) as out:
        rows = [run.values for run in found["score"].values()]
        table = pa.Table.from_pylist(rows, schema=runs_schema(plan))
        out.write_table(ordered(table, RUNS_ORDER))
    shutil.rmtree(folder / PARTS, ignore_errors=True)


def _rows(
    client: "MlflowClient",
    file: File,
    runs: Mapping[str, Found],
    folder: Path,
    ids: Sequence[str],
) -> pa.Table:
    """The rows of some ids: from the runs' artifacts, or from the older export."""
    new = [i for i in ids if runs[i].artifact_uri]
    tables = [_parquet(client, runs[i], file.name) for i in new]
    own = [{**runs[i].values, file.key: i} for i in new]
    table = combined(tables, own, file.schema)
    if kept := [i for i in ids if not runs[i].artifact_uri]:
        older = pq.read_table(folder / file.name, filters=[(file.key, "in", kept)])
        blocks = [table, combined([older], [{}], file.schema)]
        table = ordered(pa.concat_tables(blocks), (file.key,))
    return ordered(table, file.order) if file.order else table


def _ids(path: Path, key: str) -> set[str]:
    """What an older file has rows of."""
    if not path.is_file():
        return set()
    return set(pc.unique(pq.read_table(path, columns=[key])[key]).to_pylist())


def _keep(
    found: dict[str, dict[str, Found]], folder: Path, wanted: Mapping[str, Container[str]]
) -> None:
    """Add what the older export has and MLflow was not asked for."""
    if not (folder / LINKS).is_file():
        raise ExportError(f"{folder} holds no export to go on from; leave out --since once.")
    runs, _ = read_runs(folder)
    described = {run["trial_id"]: run for run in runs.to_pylist()}
    for link in read_links(folder).to_pylist():
        kind, stage_id, run_id = link["kind"], link["stage_id"], link["run_id"]
        again = found[kind].get(stage_id)
        if again is not None and again.run_id != run_id:
            raise ExportError(
                f"{kind} {stage_id} was exported from run {run_id} and has finished since as run "
                f"{again.run_id}; export in full, without --since."
            )
        if again is None and stage_id in wanted[kind]:
            values = described.get(stage_id, {})
            found[kind][stage_id] = Found(run_id, link["experiment_id"], "", values)


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


def _experiment(client: "MlflowClient", sweep: str) -> str:
    """The id of the sweep's experiment."""
    experiment = client.get_experiment_by_name(sweep)
    if experiment is None or experiment.lifecycle_stage != "active":
        names = {other.name for other in client.search_experiments()} - {"Default"}
        raise ConfigError(unknown_name("sweep", sweep, names) + " `osr run` starts one.")
    return str(experiment.experiment_id)


def _listed(client: "MlflowClient", experiment_id: str, since: datetime | None) -> Iterator["Run"]:
    """Every finished run of the experiment once, by start time.

    Pages are counted by position: a run that arrives meanwhile can bring one twice, never hide one.
    """
    asked = "attributes.status = 'FINISHED'"
    if since is not None:
        asked += f" and metrics.arrived_at_s >= {since.timestamp()}"
    seen: set[str] = set()
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string=asked,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        for run in page:
            if run.info.run_id not in seen:
                seen.add(run.info.run_id)
                yield run
        token = page.token
        if not token:
            return


def _sweep_run(client: "MlflowClient", experiment_id: str, sweep: str) -> tuple[str, str]:
    """Artifact folder and id of the one run that holds the plan."""
    found = client.search_runs([experiment_id], filter_string="tags.kind = 'sweep'")
    if len(found) != 1:
        ids = ", ".join(run.info.run_id for run in found) or "none"
        raise ExportError(
            f"MLflow's experiment '{sweep}' must hold exactly one run of kind 'sweep', which has "
            f"the plan; it holds {len(found)} ({ids}). `osr sync` makes a missing one; delete one "
            "too many in `osr ui`."
        )
    return found[0].info.artifact_uri, found[0].info.run_id


def _finished(
    runs: Iterable["Run"], wanted: Mapping[str, Container[str]], sweep: str
) -> dict[str, dict[str, Found]]:
    """The finished runs of each kind by their id; each id has one run."""
    found: dict[str, dict[str, Found]] = {kind: {} for kind in IDS}
    twice: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        kind = run.data.tags.get("kind")
        name = run.data.tags.get(IDS.get(kind, ""))
        if name is None or name not in wanted[kind]:
            continue
        if name in found[kind]:
            twice[kind, name].append(run.info.run_id)
            continue
        info = run.info
        values = _described(run, OWN[kind], sweep)
        found[kind][name] = Found(info.run_id, info.experiment_id, info.artifact_uri, values)
    for (kind, name), others in twice.items():
        ids = ", ".join(sorted([found[kind][name].run_id, *others]))
        raise ExportError(
            f"{IDS[kind]} {name} has {len(others) + 1} finished runs in MLflow: {ids}. A {kind} "
            "counts once and an export does not choose; delete all but one in `osr ui`."
        )
    return found


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
    if column.optional:
        number = run.data.metrics.get(f"model/{column.name}")
        return None if number is None else int(number)
    text = run.data.tags[column.name]
    if column.unit == "canonical JSON":
        return _canonical(text)
    if pa.types.is_integer(column.type):
        return int(text)
    return float(text) if pa.types.is_floating(column.type) else text


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    """JSON text in canonical form; the runs of a sweep share most of theirs."""
    return canonical_json(json.loads(text))


# -- artifacts -------------------------------------------------------------------------------------


def _has(client: "MlflowClient", run: Found, name: str, kept: bool) -> bool:
    """Whether a run left an artifact that not every run leaves."""
    if not run.artifact_uri:
        return kept
    if (root := _local(run.artifact_uri)) is not None:
        return (root / name).is_file()
    return any(file.path == name for file in client.list_artifacts(run.run_id))


def _parquet(client: "MlflowClient", run: Found, name: str) -> pa.Table:
    content = _artifact(client, run.artifact_uri, run.run_id, name)
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)  # small


def _artifact(client: "MlflowClient", artifact_uri: str, run_id: str, name: str) -> bytes:
    """The content of a run's artifact; where it lies on this machine it is read in place."""
    if (root := _local(artifact_uri)) is not None:
        return _content(root / name, run_id)
    with TemporaryDirectory() as folder:
        return _content(Path(client.download_artifacts(run_id, name, folder)), run_id)


def _local(artifact_uri: str) -> Path | None:
    """The folder of a run's artifacts, if it is on this machine."""
    scheme = urlsplit(artifact_uri).scheme
    if scheme not in ("", "file"):
        return None
    return Path(url2pathname(urlsplit(artifact_uri).path) if scheme else artifact_uri)


def _content(path: Path, run_id: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(
            f"artifact {path.name} of run {run_id} cannot be read at {path}: "
            f"{error.strerror}. Delete the run in `osr ui`; `osr sync` then writes it anew."
        ) from None
