"""Reads an export back, also one that an older or a later version of this program wrote.

A column that this version does not know is left out; one that an older version did not write yet is
filled with nulls where `analysis.exports.columns` says that it is optional, and refused otherwise.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.columns import (
    EMBEDDING_COLUMNS,
    GENERATED_COLUMNS,
    HISTORY_COLUMNS,
    LINK_COLUMNS,
    MINED_COLUMNS,
    RECONSTRUCTED_COLUMNS,
    SCORE_COLUMNS,
    Column,
)
from analysis.exports.schema import (
    EMBEDDINGS,
    GENERATED,
    HISTORY,
    LINKS,
    MINED,
    RECONSTRUCTED,
    RUNS,
    SCORES,
    FinishedTrial,
    Plan,
    plan_in,
    run_columns,
    store_in,
    tables_in,
)
from osr_core.errors import DataError, OsrError


class UnreadableError(OsrError):
    """A file of an export is cut short, damaged, or was written by something else."""


def read_runs(folder: Path) -> tuple[pa.Table, Plan]:
    """Finished trials, and the plan that they belong to.

    Raises:
        DataError: no export is there, or one that lacks its plan or a column.
        UnreadableError: as everything that reads a file of an export.
    """
    path = path_in(folder, RUNS)
    with readable(path):
        schema = pq.read_schema(path)
    try:
        plan = plan_in(schema)
    except ValueError as error:
        raise DataError(f"{path} {error}. {_again(folder)}") from None
    return read_columns(path, run_columns(plan)), plan


def by_id(runs: pa.Table) -> dict[str, FinishedTrial]:
    """The finished trials of runs.parquet by trial_id, in its order."""
    return {trial["trial_id"]: trial for trial in runs.to_pylist()}


def joined(trials: Iterable[FinishedTrial], column: str) -> str:
    """Every value of a column once, for a header."""
    return ", ".join(sorted({trial[column] for trial in trials}))


def is_complete_export(folder: Path, trial_ids: Sequence[str], store: str | None) -> bool:
    """Whether an export holds just these trials, all of them finished, and all of its files.

    Equal trials have equal ids in every store; `store` is the id of the one that must have made
    them.
    """
    if store_in(folder / LINKS) != store:
        return False
    if not all((folder / name).is_file() for name in (RUNS, *tables_in(folder / LINKS))):
        return False
    try:
        runs, _ = read_runs(folder)
    except (DataError, UnreadableError):
        return False
    return sorted(runs["trial_id"].to_pylist()) == sorted(trial_ids)


def read_history(folder: Path) -> pa.Table:
    """Epochs of fits."""
    return read_columns(path_in(folder, HISTORY), HISTORY_COLUMNS)


def read_scores(folder: Path, trial_ids: Sequence[str]) -> pa.Table:
    """Test images of some trials; the file is not read as a whole."""
    path = path_in(folder, SCORES)
    return read_columns(path, SCORE_COLUMNS, filters=[("trial_id", "in", list(trial_ids))])


def read_mined(folder: Path) -> pa.Table:
    """Training images with their robustness.

    Raises:
        DataError: the sweep has no mining stage that left them.
    """
    return read_columns(path_in(folder, MINED), MINED_COLUMNS)


def read_generated(folder: Path) -> pa.Table:
    """Images that were made, and those that they were made from.

    Raises:
        DataError: the sweep has no stage that left them.
    """
    return read_columns(path_in(folder, GENERATED), GENERATED_COLUMNS)


def read_reconstructed(folder: Path) -> pa.Table:
    """Training images, and what they became under each class.

    Raises:
        DataError: the sweep has no stage that left them.
    """
    return read_columns(path_in(folder, RECONSTRUCTED), RECONSTRUCTED_COLUMNS)


def read_embeddings(folder: Path, trial_id: str) -> pa.Table:
    """Test images and prototypes of one trial, embedded.

    Raises:
        DataError: no trial of the sweep left them.
    """
    path = path_in(folder, EMBEDDINGS)
    return read_columns(path, EMBEDDING_COLUMNS, filters=[("trial_id", "in", [trial_id])])


def read_links(folder: Path) -> pa.Table:
    """Where the runs lie in MLflow; empty for an export that does not say."""
    if not (folder / LINKS).is_file():
        return pa.schema([(column.name, column.type) for column in LINK_COLUMNS]).empty_table()
    return read_columns(folder / LINKS, LINK_COLUMNS)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What Arrow and the disk complain of leaves as UnreadableError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        why = str(error).partition("\n")[0].removesuffix(".")
        raise UnreadableError(f"{path} cannot be read: {why}. {_again(path.parent)}") from error


def _again(folder: Path) -> str:
    return f"Export the sweep again: osr export {folder.name}"


def path_in(folder: Path, name: str) -> Path:
    """A file of an export; DataError where it is not there."""
    if not (folder / name).is_file():
        raise DataError(
            f"there is no {name} in {folder}: the sweep leaves nothing of that kind, or has "
            f"done so since its last export (osr export {folder.name})."
        )
    return folder / name


def read_columns(
    path: Path, columns: Sequence[Column], filters: list[tuple[str, str, list[str]]] | None = None
) -> pa.Table:
    """Columns of a file of an export, or of those of its rows that pass `filters`.

    Raises:
        DataError: a column is missing that is not optional.
        UnreadableError: the file is cut short, or was written by something else.
    """
    with readable(path):
        there = pq.read_schema(path).names
    absent = [column for column in columns if column.name not in there]
    if lost := [column.name for column in absent if not column.optional]:
        raise DataError(f"{path} lacks the column {', '.join(lost)}. {_again(path.parent)}")
    names = [column.name for column in columns if column.name in there]
    with readable(path):
        if filters:
            table = pq.read_table(path, columns=names, filters=filters)
        else:  # without pandas, which the line above imports
            table = pq.ParquetFile(path).read(names)
        for column in absent:
            table = table.append_column(column.name, pa.nulls(len(table), column.type))
        wanted = pa.schema([(column.name, column.type) for column in columns])
        return table.select(wanted.names).cast(wanted)
