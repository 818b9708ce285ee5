"""What MLflow holds of a sweep, as an export needs it (sweeps/tracking writes it).

An experiment of the sweep's name, whose tag osr.store is the id of the store that it belongs to;
where that name was another store's already, "NAME (ID)" with the beginning of the id. In it one run
of kind "sweep" with the plan's record as the artifact plan.json, and one run per stage with the
tags stage_id, kind and code. Each finished one has the metric arrived_at_s, the time at which
MLflow held all of it; a stage that runs, has failed or was stopped has a run of another status. A
"score" run has the trial's metrics and the artifact scores.parquet, perhaps embeddings.parquet, and
so has a "scores.import" run; a "fit" run has history.parquet, a "pmal.mine" run mined.parquet. What
is said of a trial besides its results stands in the record, and only there.

Only this module of `analysis` needs mlflow, and imports it when an export begins.
"""

import json
import os
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.parts import FILES, fitted
from analysis.exports.schema import METRICS, OF_MODEL, SCORED, SCORED_BY, STAGE, Plan
from osr_core.errors import ConfigError, OsrError, unknown_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

PAGE = 1000  # runs per request to MLflow
STORE = "osr.store"


class ExportError(OsrError):
    """MLflow cannot be read, or does not hold what an export needs."""

    exit_code = 3


@dataclass(frozen=True)
class Found:
    """A finished run: as little of it as an export needs."""

    run_id: str
    experiment_id: str
    artifact_uri: str  # "" for a run whose rows are taken from the older export
    results: Mapping[str, Any]  # of a trial: its metrics, and the version of the code


@contextmanager
def sweep_in_mlflow(
    tracking_uri: str, sweep: str, store: str | None = None
) -> Iterator["SweepRuns"]:
    """The runs of a sweep, of the `store` with this id if given; MLflow's complaints leave as
    ExportError.

    Raises:
        ConfigError: no sweep of this name, or only another store's; says which there are.
    """
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
    from sqlalchemy.exc import SQLAlchemyError  # MlflowClient lets some of them through

    try:
        client = MlflowClient(tracking_uri)
        experiment = _experiment(client, sweep, store)
        owner = experiment.tags.get(STORE, "")
        yield SweepRuns(client, sweep, str(experiment.experiment_id), owner)
    except (MlflowException, SQLAlchemyError) as error:
        why, server = str(error).partition("\n")[0], tracking_uri.startswith("http")
        advice = (
            "" if server else ". If its database is damaged, delete it: `osr sync` makes it anew."
        )
        raise ExportError(
            f"MLflow at {tracking_uri} did not answer as it should: {why}{advice}"
        ) from error


def _experiment(client: "MlflowClient", sweep: str, store: str | None) -> "Experiment":
    """The sweep's experiment: that of the store, or else the one that says of no store.

    Who has no store (None) takes that of the name; one that MLflow has not seen yet has the id "".
    """
    names = [sweep, f"{sweep} ({store[:8]})"] if store else [sweep]
    found = [client.get_experiment_by_name(name) for name in names]
    there = [each for each in found if each is not None and each.lifecycle_stage == "active"]
    for owner in (store, None):
        for experiment in there:
            if store is None or experiment.tags.get(STORE) == owner:
                return experiment
    if there:
        raise ConfigError(
            f"MLflow's sweep '{sweep}' belongs to another store than this home's. `osr sync "
            f"{sweep}` brings this home's there, too; to export the other, give its --home or "
            "OSR_STORE."
        )
    known = {other.name for other in client.search_experiments()} - {"Default"}
    raise ConfigError(
        f"{unknown_name('sweep', sweep, known)} `osr run` starts one; if `osr status` has it, `osr "
        f"sync {sweep}` brings it to MLflow."
    )


@dataclass(frozen=True)
class SweepRuns:
    """What MLflow holds of one sweep."""

    client: "MlflowClient"
    sweep: str
    experiment_id: str
    store: str  # the id of the store whose results it shows; "": MLflow does not say

    def plan_record(self) -> dict[str, Any]:
        """The record of the sweep's plan, from the one run that holds it."""
        found = self.client.search_runs([self.experiment_id], filter_string="tags.kind = 'sweep'")
        if len(found) != 1:
            ids = ", ".join(run.info.run_id for run in found) or "none"
            raise ExportError(
                f"MLflow's experiment '{self.sweep}' must hold exactly one run of kind 'sweep', "
                f"which has the plan; it holds {len(found)} ({ids}). `osr sync` makes a missing "
                "one; delete one too many in `osr ui`."
            )
        info = found[0].info
        content = artifact(self.client, info.artifact_uri, info.run_id, "plan.json")
        try:
            record: dict[str, Any] = json.loads(content)
            Plan.from_record(record)
        except (ValueError, LookupError, TypeError) as error:
            raise ExportError(
                f"artifact plan.json of run {info.run_id} is damaged or of another version "
                f"({type(error).__name__}: {error}). `osr sync {self.sweep}` writes it anew."
            ) from error
        return record

    def finished(
        self, wanted: Mapping[str, Container[str]], since: datetime | None
    ) -> dict[str, dict[str, Found]]:
        """The finished runs by the id of their stage, for each kind of stage in `wanted`.

        Raises:
            ExportError: more than one finished run of a stage; one that lacks a metric.
        """
        found: dict[str, dict[str, Found]] = {kind: {} for kind in wanted}
        twice: dict[tuple[str, str], list[str]] = defaultdict(list)
        for run in self._listed(since):
            kind, stage_id = run.data.tags.get("kind", ""), run.data.tags.get("stage_id", "")
            if stage_id not in wanted.get(kind, ()):
                continue
            info = run.info
            if stage_id in found[kind]:
                twice[kind, stage_id].append(info.run_id)
                continue
            results = results_of(run) if kind in SCORED_BY else {}
            uri = info.artifact_uri
            found[kind][stage_id] = Found(info.run_id, info.experiment_id, uri, results)
        for (kind, stage_id), others in twice.items():
            ids = ", ".join(sorted([found[kind][stage_id].run_id, *others]))
            raise ExportError(
                f"{kind} {stage_id} has {len(others) + 1} finished runs in MLflow: {ids}. A stage "
                "counts once and an export does not choose; delete all but one in `osr ui`."
            )
        return found

    def _listed(self, since: datetime | None) -> Iterator["Run"]:
        """Every finished run of the experiment once, by start time.

        Pages are counted by position: a run that arrives meanwhile can bring one twice, never hide
        one.
        """
        asked = "attributes.status = 'FINISHED'"
        if since is not None:
            asked += f" and metrics.arrived_at_s >= {since.timestamp()}"
        seen: set[str] = set()
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
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

    def has(self, run: Found, name: str) -> bool:
        """Whether a run left an artifact that not every run leaves."""
        if (root := _local(run.artifact_uri)) is not None:
            return (root / name).is_file()
        try:
            return any(file.path == name for file in self.client.list_artifacts(run.run_id))
        except OSError as error:  # what a server of artifacts answers
            raise ExportError(
                f"the artifacts of run {run.run_id} cannot be listed: {error}. Export again when "
                "their server is back."
            ) from error

    def schema(self, run: Found, name: str) -> pa.Schema:
        """The columns of an artifact in Parquet."""
        content = artifact(self.client, run.artifact_uri, run.run_id, name)
        return pq.read_schema(pa.BufferReader(content)).remove_metadata()

    def rows(
        self, run: Found, name: str, constants: Mapping[str, Any], schema: pa.Schema
    ) -> pa.Table:
        """An artifact in Parquet as rows of `schema`; `constants` has the columns that it lacks.

        Columns of a known file are the artifact's own; in any other, those that say whose a row is
        come from `constants`, whatever the artifact calls so.
        """
        content = artifact(self.client, run.artifact_uri, run.run_id, name)
        try:
            table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)  # small
            if name not in FILES:
                table = table.drop_columns([c for c in STAGE if c in table.column_names])
            return fitted(table, constants, schema)
        except (pa.ArrowException, OSError) as error:
            raise ExportError(
                f"artifact {name} of run {run.run_id} is not what the stage left: {error}. Delete "
                "the run in `osr ui`; `osr sync` then writes it anew."
            ) from error


def results_of(run: "Run") -> dict[str, Any]:
    """What a trial's run says of its results, by column."""
    metrics = run.data.metrics
    try:
        results = {name: metrics[f"test/{name}"] for name in METRICS}
        results["commit"] = run.data.tags["code"]
        results["made_on"] = run.data.tags.get("made_on")
    except KeyError as error:
        raise ExportError(
            f"the finished {run.data.tags['kind']} run {run.info.run_id} lacks {error}. Delete it "
            "in `osr ui`; `osr sync` then writes it anew."
        ) from None
    for prefix, names in (("model", OF_MODEL), ("scored", SCORED)):
        for name in names:
            number = metrics.get(f"{prefix}/{name}")
            results[name] = None if number is None else int(number)
    return results


def artifact(client: "MlflowClient", artifact_uri: str, run_id: str, name: str) -> bytes:
    """The content of a run's artifact; where it lies on this machine it is read in place."""
    if (root := _local(artifact_uri)) is not None:
        return _content(root / name, run_id)
    with TemporaryDirectory() as folder:
        try:
            path = Path(client.download_artifacts(run_id, name, folder))
        except OSError as error:
            raise ExportError(
                f"artifact {name} of run {run_id} cannot be fetched from {artifact_uri}: {error}. "
                "Export again when its server answers."
            ) from error
        return _content(path, run_id)


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
