"""A sweep's results as tables."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.commands.options import DEFAULT_HOME, with_store
from sweeps.commands.results import write_export
from sweeps.home import Home

if TYPE_CHECKING:
    import pyarrow as pa


class Sweep:
    """What the sweep of a name has found; shows its table where it is the last line of a cell.

    Its tables are pyarrow's; `sweep.runs.to_pandas()` makes a frame of one. They are read from the
    sweep's export, which is written when there is none yet. After more was run, `refresh`.
    """

    def __init__(self, name: str, home: str | Path | None = None) -> None:
        """`home` is the folder of all results; default: OSR_HOME, or ./osr-home.

        Raises:
            ConfigError: no sweep can have that name.
        """
        self.name = name
        self.home = home_at(home)
        self._folder = self.home.export(name)

    def refresh(self) -> "Sweep":
        """Write the export anew, from what is done now; gives the sweep itself.

        Raises:
            OsrError: no sweep has that name, or what holds its results does not answer.
        """
        write_export(self.home, self.name)
        for table in ("runs", "history", "scores", "candidates"):
            self.__dict__.pop(table, None)
        return self

    @cached_property
    def runs(self) -> "pa.Table":
        """One row for each finished trial; the schema's metadata say what each column means."""
        from analysis.exports.read import read_runs

        return read_runs(self.folder)[0]

    @cached_property
    def history(self) -> "pa.Table":
        """Epochs of fits: one row for each epoch and metric."""
        from analysis.exports.read import read_history

        return read_history(self.folder)

    @cached_property
    def scores(self) -> "pa.Table":
        """One row for each trial and test image."""
        from analysis.exports.read import read_scores

        return read_scores(self.folder, self.runs["trial_id"].to_pylist())

    @cached_property
    def candidates(self) -> "pa.Table":
        """What searches have tried, one row for each candidate.

        Raises:
            DataError: the sweep has no search.
        """
        from analysis.exports.candidates import CANDIDATE_COLUMNS, CANDIDATES
        from analysis.exports.read import path_in, read_columns

        return read_columns(path_in(self.folder, CANDIDATES), CANDIDATE_COLUMNS)

    @property
    def folder(self) -> Path:
        """Where the export lies; it is written first if there is none."""
        if not (self._folder / "runs.parquet").exists():
            self.refresh()
        return self._folder

    def table(
        self,
        format: str = "markdown",
        *,
        datasets: Sequence[str] = (),
        metrics: Sequence[str] = ("accuracy", "auroc", "oscr"),
    ) -> str:
        """The sweep's table as text, as `osr table` prints it.

        Args:
            format: markdown, latex, html, csv or json.
            datasets: to show; all, if left out.
            metrics: columns of the table.

        Raises:
            ConfigError: a dataset that the sweep lacks; an unknown metric or format.
        """
        from analysis.tables.render import render
        from analysis.tables.sweep_sheet import printable
        from analysis.tables.sweep_table import table

        return render(printable(table(self.folder, datasets, metrics)), format)

    def _repr_markdown_(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Sweep({self.name!r}, home={str(self.home.root)!r})"


def home_at(home: str | Path | None) -> Home:
    """A user's results; None: where OSR_HOME says, or ./osr-home."""
    return with_store(Path(home or os.environ.get("OSR_HOME") or DEFAULT_HOME))
