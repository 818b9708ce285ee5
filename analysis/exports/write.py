"""MLflow -> the Parquet files of one sweep (see `schema`).

What is said of a trial or a stage comes from the plan's record, what came out of it from its run
(see `mlflow_runs`). Runs are listed in pages and artifacts read in batches (see `parts`), so that
memory does not grow with the sweep, and an export that was interrupted goes on where it stopped.
Equal content of MLflow gives equal bytes. Each file is written whole or not at all, runs.parquet
last; two exports of a sweep wait for each other.
"""

import dataclasses
import fcntl
import logging
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.candidates import CANDIDATES, write_candidates
from analysis.exports.mlflow_runs import ExportError, Found, SweepRuns, sweep_in_mlflow
from analysis.exports.older import OlderRows
from analysis.exports.parts import FILES, PARTS, File, ordered, put_together, written
from analysis.exports.read import read_links, read_runs
from analysis.exports.schema import (
    HISTORY,
    LINKS,
    RESULTS,
    RUNS,
    RUNS_ORDER,
    SCORED_BY,
    SCORES,
    STAGE,
    Plan,
    PlannedTrial,
    links_schema,
    runs_schema,
    store_in,
    tables_in,
    unfinished,
)
from analysis.exports.searches import searches_in
from osr_core.identity import canonical_json

log = logging.getLogger(__name__)
SETTINGS = (
    "hyperparameters",
    "backbone",
    "training",
    "imported",
)  # columns that hold canonical JSON
Facts = Mapping[str, Mapping[str, Any]]  # by stage id, what the plan's record says of it


@dataclass(frozen=True)
class Export:
    """What an export wrote, and what it could not."""

    folder: Path
    plan: Plan
    num_finished: int  # trials in runs.parquet
    missing: tuple[PlannedTrial, ...]  # planned, but not finished
    tables: tuple[str, ...]  # names of the files besides runs and links

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(self.folder / name for name in (RUNS, *self.tables, LINKS))


def export(
    tracking_uri: str,
    sweep: str,
    folder: Path,
    since: datetime | None = None,
    store: str | None = None,
) -> Export:
    """Write the files of a sweep into `folder`, in place of older ones.

    Where several stores have a sweep of this name in MLflow, `store` is the id of the right one.
    What the sweep's plan names is exported; finished runs of an earlier plan are left out. With
    `since`, only runs that reached MLflow then or later are read from it, whenever they ended, and
    the others' rows are kept from the export that is there.

    Raises:
        ConfigError: no sweep of this name; says which there are.
        ExportError: no MLflow database; more than one finished run of a trial or a stage; a run
            without one of its tags, metrics or artifacts; `since` without an older export; a folder
            that cannot be written.
        DataError, UnreadableError: the older export of `since` is not whole.
    """
    with sweep_in_mlflow(tracking_uri, sweep, store) as held, _alone(folder):
        record = held.plan_record()
        plan = Plan.from_record(record)
        stages = {stage["stage_id"] for stage in record["stages"]}
        wanted = {kind: stages for kind, names in record["leaves"].items() if names}
        wanted |= {kind: {each.trial_id for each in plan.trials} for kind in SCORED_BY}
        found = held.finished(wanted, since)
        if since is not None:
            _keep(found, held.store, folder, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        tables = _write(held, found, plan, record, folder)
    finished = trials_in(found)
    missing = unfinished(plan.trials, finished)
    return Export(folder, plan, len(finished), missing, tables)


def trials_in(found: Mapping[str, Mapping[str, Found]]) -> dict[str, Found]:
    """The runs of finished trials, by trial id."""
    return {i: run for kind in SCORED_BY for i, run in found[kind].items()}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One export of a sweep at a time; what the disk complains of leaves as ExportError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{folder.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.warning("another export into %s goes on; waiting for its end", folder)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be written: {error.strerror or error}. Make room or give permission, "
            "then export again; it goes on where it stopped."
        ) from error


def facts_in(record: Mapping[str, Any]) -> Facts:
    """What a plan's record says of each stage; of a score stage, also what it says of its trial."""
    facts = {stage["stage_id"]: {"sweep": record["sweep"], **stage} for stage in record["stages"]}
    for trial in record["trials"]:
        settings = {name: canonical_json(trial[name]) for name in SETTINGS if name in trial}
        facts[trial["trial_id"]] |= trial | settings
    return facts


def _write(
    held: SweepRuns,
    found: Mapping[str, Mapping[str, Found]],
    plan: Plan,
    record: Mapping[str, Any],
    folder: Path,
) -> tuple[str, ...]:
    """All files, runs.parquet last; parts of an earlier attempt are used, and gone afterwards.

    Returns the names of the files that were put together; such of an older export are removed.
    """
    facts = facts_in(record)
    left = {name for names in record["leaves"].values() for name in names}
    names = [HISTORY, SCORES, *(name for name in FILES if name in left), *sorted(left)]
    tables = []
    for name in dict.fromkeys(names):
        file = FILES.get(name, File(name))
        kinds = [kind for kind, each in record["leaves"].items() if name in each]
        runs = {i: run for kind in kinds for i, run in found[kind].items()}
        if _put(held, file, runs, facts, folder):
            tables.append(name)
    if searches := searches_in(record):
        write_candidates(folder / CANDIDATES, plan.sweep, searches)
        tables.append(CANDIDATES)
    for name in tables_in(folder / LINKS) - {*tables}:
        (folder / name).unlink(missing_ok=True)
    links = [
        {"stage_id": i, "kind": kind, "experiment_id": run.experiment_id, "run_id": run.run_id}
        for kind, runs in found.items()
        for i, run in runs.items()
    ]
    schema = links_schema(tables, held.store)
    with written(folder / LINKS, schema) as out:
        table = pa.Table.from_pylist(links, schema=schema)
        out.write_table(ordered(table, ("stage_id", "kind")))
    with written(folder / RUNS, runs_schema(plan)) as out:
        rows = [{**facts[i], **run.results} for i, run in trials_in(found).items()]
        table = pa.Table.from_pylist(rows, schema=runs_schema(plan))
        out.write_table(ordered(table, RUNS_ORDER))
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    return tuple(tables)


def _put(
    held: SweepRuns, file: File, runs: Mapping[str, Found], facts: Facts, folder: Path
) -> bool:
    """Write one file, of the runs that left its artifact; False, and no file, if none did."""
    taken_over = any(not run.artifact_uri for run in runs.values())
    older = OlderRows(folder, file) if taken_over else None
    if file.optional:
        there = older.ids if older else set()
        runs = {
            i: run
            for i, run in runs.items()
            if (held.has(run, file.name) if run.artifact_uri else i in there)
        }
        if not runs:
            (folder / file.name).unlink(missing_ok=True)
            return False
    if file.name not in FILES:
        file = dataclasses.replace(file, schema=_own_schema(held, file, runs, folder))
        older = OlderRows(folder, file) if older else None
    sources = {i: run.run_id for i, run in runs.items()}
    make = partial(_rows, held, file, runs, facts, older)
    put_together(folder / file.name, file.schema, sources, make)
    return True


def _own_schema(held: SweepRuns, file: File, runs: Mapping[str, Found], folder: Path) -> pa.Schema:
    """What says whose a row is, then the columns that the stages gave their tables."""
    new = [run for run in runs.values() if run.artifact_uri]
    schemas = [held.schema(run, file.name) for run in new]
    if len(new) < len(runs):
        schemas.append(pq.read_schema(folder / file.name).remove_metadata())
    try:
        own = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ExportError(
            f"the stages that leave {file.name} do not agree on its columns: {error}. Give each "
            "column one type, in the method that brings their kind."
        ) from error
    return pa.schema([*file.schema, *(field for field in own if field.name not in STAGE)])


def _rows(
    held: SweepRuns,
    file: File,
    runs: Mapping[str, Found],
    facts: Facts,
    older: OlderRows | None,
    ids: Sequence[str],
) -> Iterator[pa.Table]:
    """The rows of each id: from its run's artifact, or from the older export."""
    for i in ids:
        if older and not runs[i].artifact_uri:
            yield older.rows(i)
            continue
        rows = held.rows(runs[i], file.name, {**facts[i], file.key: i}, file.schema)
        yield ordered(rows, file.order) if file.order else rows


def _keep(
    found: dict[str, dict[str, Found]],
    store: str,
    folder: Path,
    wanted: Mapping[str, Container[str]],
) -> None:
    """Add what the older export has and MLflow was not asked for."""
    if not (folder / LINKS).is_file():
        raise ExportError(f"{folder} holds no export to go on from; leave out --since once.")
    if store_in(folder / LINKS) != store:
        raise ExportError(f"{folder} holds another store's results; leave out --since once.")
    runs, _ = read_runs(folder)
    older = {run["trial_id"]: run for run in runs.to_pylist()}
    for link in read_links(folder).to_pylist():
        kind, stage_id, run_id = link["kind"], link["stage_id"], link["run_id"]
        if kind not in wanted:
            continue  # the plan has no stage of that kind any more
        again = found[kind].get(stage_id)
        if again is not None and again.run_id != run_id:
            raise ExportError(
                f"{kind} {stage_id} was exported from run {run_id} and has finished since as run "
                f"{again.run_id}; export in full, without --since."
            )
        if again is None and stage_id in wanted[kind]:
            run = older.get(stage_id, {})
            results = {name: run[name] for name in RESULTS if name in run}
            found[kind][stage_id] = Found(run_id, link["experiment_id"], "", results)
