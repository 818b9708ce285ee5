"""Rows of an export that is already there, for one that takes them over."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.exports.parts import File, fitted
from analysis.exports.read import readable


class OlderRows:
    """An older file by the ids of its rows; one row group is in memory.

    Raises:
        UnreadableError: the file is cut short, or was written by something else.
    """

    def __init__(self, folder: Path, file: File) -> None:
        self._path, self._of = folder / file.name, file
        self._held: tuple[int, pa.Table] | None = None
        if not self._path.is_file():
            self._groups: list[set[str]] = []
            return
        with readable(self._path):
            self._file = pq.ParquetFile(self._path)
            numbers = range(self._file.num_row_groups)
            keys = [self._file.read_row_group(n, [file.key])[file.key] for n in numbers]
        self._groups = [set(pc.unique(column).to_pylist()) for column in keys]

    @property
    def ids(self) -> set[str]:
        """Whose rows are there."""
        return set().union(*self._groups)

    def rows(self, key: str) -> pa.Table:
        """The rows of one id; quick where ids are asked for in the order of the file."""
        there = [n for n, ids in enumerate(self._groups) if key in ids]
        found = [self._group(number) for number in there]
        rows = [table.filter(pc.equal(table[self._of.key], key)) for table in found]
        return pa.concat_tables(rows) if rows else self._of.schema.empty_table()

    def _group(self, number: int) -> pa.Table:
        if self._held is None or self._held[0] != number:
            with readable(self._path):
                table = fitted(self._file.read_row_group(number), {}, self._of.schema)
            self._held = (number, table)
        return self._held[1]
