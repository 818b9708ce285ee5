"""Parquet files put together from many small ones, in batches, so that a break loses one batch.

A batch is a run of ids in their order. What is made of it lies under `.parts` until the whole file
is there; a part is named by what it is made of, so that a later attempt finds it again or makes it
anew. The file's row groups follow from the ids alone: equal content gives equal bytes, however
often it was interrupted.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.schema import (
    EMBEDDINGS,
    HISTORY,
    HISTORY_ORDER,
    MINED,
    SCORES,
    embeddings_schema,
    history_schema,
    mined_schema,
    scores_schema,
)
from osr_core.identity import digest


@dataclass(frozen=True)
class File:
    """A file that is put together from artifacts of the same name."""

    name: str
    kind: str  # of the runs that leave it
    key: str  # column that says whose a row is
    schema: pa.Schema
    order: Sequence[str] = ()  # of rows; () keeps that of the artifacts
    optional: bool = False  # not every run leaves it


FILES = (
    File(SCORES, "score", "trial_id", scores_schema()),
    File(HISTORY, "fit", "stage_id", history_schema(), HISTORY_ORDER),
    File(MINED, "pmal.mine", "stage_id", mined_schema(), optional=True),
    File(EMBEDDINGS, "score", "trial_id", embeddings_schema(), optional=True),
)
BATCH = 500  # runs whose artifacts are in memory together
PARTS = ".parts"


def put_together(
    path: Path,
    schema: pa.Schema,
    sources: Mapping[str, str],
    make: Callable[[Sequence[str]], pa.Table],
) -> None:
    """Write `path` from batches of the sorted ids of `sources`.

    Args:
        path: of the file, which takes its place when it is complete.
        schema: of the file; `make` gives tables of it.
        sources: what each id's rows are made from, such as a run's name: a change of it makes the
            batch's part anew.
        make: the rows of some ids.
    """
    ids = sorted(sources)
    folder = path.parent / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    with written(path, schema) as file:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            identity = digest([path.name, str(schema), [[name, sources[name]] for name in batch]])
            part = folder / f"{path.stem}-{identity}.parquet"
            if not part.is_file():
                with written(part, schema) as out:
                    out.write_table(make(batch))
            file.write_table(pq.read_table(part, schema=schema).combine_chunks())


def combined(
    tables: Sequence[pa.Table], constants: Sequence[Mapping[str, Any]], schema: pa.Schema
) -> pa.Table:
    """Tables below each other with the columns and types of `schema`.

    `constants` has for each table the columns that it lacks; what neither has is null. Columns that
    the schema does not know are left out.
    """
    if not tables:
        return schema.empty_table()
    known = [table.select([n for n in table.column_names if n in schema.names]) for table in tables]
    rows = pa.concat_tables(known, promote_options="permissive")
    owner = pa.array([i for i, table in enumerate(tables) for _ in range(len(table))], pa.int32())
    columns = []
    for field in schema:
        if field.name in rows.column_names:
            columns.append(rows[field.name].cast(field.type))
        elif field.name in constants[0]:
            values = pa.array([own[field.name] for own in constants], field.type)
            columns.append(values.take(owner))
        else:
            columns.append(pa.nulls(len(rows), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def ordered(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The rows in ascending order of some columns."""
    return table.sort_by([(name, "ascending") for name in names])


@contextmanager
def written(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
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
