"""Parquet files put together from many small ones, in batches, so that a break loses one batch.

A batch is a run of ids in their order. What is made of it lies under `.parts` until the whole file
is there; a part is named by what it is made of, so that a later attempt finds it again or makes it
anew. The rows of a few runs at a time are in memory: a row group, which ends where the next run
would make it larger than ROW_GROUP. The file's row groups follow from the ids and the rows alone:
equal content gives equal bytes, however often it was interrupted.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.exports.schema import (
    EMBEDDINGS,
    GENERATED,
    HISTORY,
    HISTORY_ORDER,
    MINED,
    RECONSTRUCTED,
    SCORES,
    embeddings_schema,
    generated_schema,
    history_schema,
    mined_schema,
    reconstructed_schema,
    scores_schema,
    stage_schema,
)
from osr_core.identity import digest


@dataclass(frozen=True)
class File:
    """A file that is put together from artifacts of the same name."""

    name: str
    key: str = "stage_id"  # column that says whose a row is
    schema: pa.Schema = dataclasses.field(default_factory=stage_schema)
    order: Sequence[str] = ()  # of rows; () keeps that of the artifacts
    optional: bool = True  # not every run leaves it, and without any there is no file


FILES = {
    file.name: file
    for file in (
        File(HISTORY, "stage_id", history_schema(), HISTORY_ORDER, optional=False),
        File(SCORES, "trial_id", scores_schema(), optional=False),
        File(MINED, "stage_id", mined_schema()),
        File(EMBEDDINGS, "trial_id", embeddings_schema()),
        File(GENERATED, "stage_id", generated_schema()),
        File(RECONSTRUCTED, "stage_id", reconstructed_schema()),
    )
}
BATCH = 500  # runs in a part, which a break loses
ROW_GROUP = 8_000_000  # values of eight bytes at most, 64 MB; more only where one run has them
PARTS = ".parts"


def put_together(
    path: Path,
    schema: pa.Schema,
    sources: Mapping[str, str],
    make: Callable[[Sequence[str]], Iterable[pa.Table]],
) -> None:
    """Write `path` from batches of the sorted ids of `sources`.

    Args:
        path: of the file, which takes its place when it is complete.
        schema: of the file; `make` gives tables of it.
        sources: what each id's rows are made from, such as a run's name: a change of it makes the
            batch's part anew.
        make: the rows of some ids, a table for each.
    """
    ids = sorted(sources)
    folder = path.parent / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    with written(path, schema) as file:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            identity = digest([path.name, str(schema), [[name, sources[name]] for name in batch]])
            part = folder / f"{path.stem}-{identity}.parquet"
            made = _opened(part)
            if made is None:
                with written(part, schema) as out:
                    for rows in row_groups(make(batch)):
                        out.write_table(rows)
                made = pq.ParquetFile(part)
            for number in range(made.num_row_groups):
                file.write_table(made.read_row_group(number).combine_chunks())


def _opened(part: Path) -> pq.ParquetFile | None:
    """A part of an earlier attempt; None if it is not there in whole."""
    try:
        return pq.ParquetFile(part)
    except (FileNotFoundError, pa.ArrowException):
        return None


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables below each other, as many together as ROW_GROUP holds."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        own = num_values(table)
        if waiting and size + own > ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
        waiting.append(table)
        size += own
    if waiting:
        yield pa.concat_tables(waiting)


def num_values(table: pa.Table) -> int:
    """Numbers and words in a table, those in lists too; the same however Arrow has it in memory."""
    lists = [column for column in table.columns if pa.types.is_list(column.type)]
    inner = [pc.sum(pc.list_value_length(column)).as_py() or 0 for column in lists]
    return int(table.num_rows * table.num_columns + sum(inner))


def fitted(table: pa.Table, constants: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """A table with the columns and types of `schema`.

    `constants` has what the table lacks; what neither has is null. Columns that the schema does not
    know are left out.

    Raises:
        pa.ArrowException: a column is of another type, or null or missing where it must not be.
    """
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table[field.name].cast(field.type)
        else:
            value = pa.scalar(constants.get(field.name), field.type)
            column = pa.repeat(value, len(table))
        if column.null_count and not field.nullable:
            raise pa.ArrowInvalid(f"the column {field.name} is missing or has gaps")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def ordered(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The rows in ascending order of some columns."""
    return table.sort_by([(name, "ascending") for name in names])


@contextmanager
def written(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file takes its place at `path` when it is complete and on disk."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
