"""An exported sweep -> a table: one block per dataset, ours beside what the papers print.

Only runs.parquet is read. `table` makes the model, `render` its text in one of four formats.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.exports.read import read_runs
from analysis.exports.schema import METRICS, PlannedTrial
from analysis.papers.published import PAPERS, Published, published
from analysis.tables.aggregate import Cell, cells, row_labels
from analysis.tables.model import Block, Entry, Heading, Row, Table
from analysis.tables.sweep_sheet import render
from osr_core.errors import ConfigError, unknown_name

__all__ = ["DEFAULT_METRICS", "render", "table"]

LOWER_IS_BETTER = ("fpr95",)
DEFAULT_METRICS = ("accuracy", "auroc", "oscr")


def table(
    folder: Path, datasets: Sequence[str] = (), metrics: Sequence[str] = DEFAULT_METRICS
) -> Table:
    """The table of an exported sweep; no `datasets` means all of the sweep's, in its order.

    Raises:
        DataError: `folder` holds no export.
        ConfigError: a dataset that the sweep does not have, or an unknown metric.
    """
    runs, plan = read_runs(folder)
    there = list(dict.fromkeys(trial.dataset for trial in plan.trials))
    problems = [unknown_name("dataset", name, there) for name in datasets if name not in there]
    problems += [unknown_name("metric", name, METRICS) for name in metrics if name not in METRICS]
    if problems:
        raise ConfigError(problems)
    shown = list(dict.fromkeys(datasets)) or there
    trials = [trial for trial in plan.trials if trial.dataset in shown]
    runs = runs.filter(pc.is_in(runs["dataset"], pa.array(shown)))
    return Table(
        sweep=plan.sweep,
        protocol=plan.protocol,
        recipe=plan.recipe,
        selection=joined(runs["selection"]) or "none",
        num_splits=len({trial.split for trial in trials}),
        num_seeds=len({trial.seed for trial in trials}),
        commit=joined(runs["commit"]) or plan.commit,
        blocks=tuple(_block(name, trials, runs, metrics) for name in shown),
    )


def joined(column: pa.ChunkedArray) -> str:
    """Every value once, for a header."""
    return ", ".join(sorted(set(column.to_pylist())))


def _block(
    dataset: str, trials: Sequence[PlannedTrial], runs: pa.Table, metrics: Sequence[str]
) -> Block:
    planned = [trial for trial in trials if trial.dataset == dataset]
    labels = row_labels(planned)
    titles = {labels[trial.trial_id]: trial.title for trial in planned}  # by row, in order
    ours = cells(runs, planned)
    finished = {run["trial_id"]: run for run in runs.to_pylist() if run["trial_id"] in labels}
    backbones = {
        labels[trial_id]: json.loads(run["backbone"])["name"] for trial_id, run in finished.items()
    }
    columns: dict[Heading, list[Entry]] = {}
    for metric in metrics:
        columns[Heading(metric)] = _ours([ours[row, dataset, metric] for row in titles], metric)
        for paper in PAPERS:
            printed = [
                _printed(published(title, dataset, metric, backbone=backbones.get(row)), paper)
                for row, title in titles.items()
            ]
            if any(entry.mean_percent is not None for entry in printed):
                columns[Heading(metric, paper)] = printed
    rows = [
        Row(row, tuple(entries), ours[row, dataset, METRICS[0]].missing)
        for row, *entries in zip(titles, *columns.values(), strict=True)
    ]
    return Block(dataset, _task(finished.values()), tuple(columns), tuple(rows))


def _task(finished: Iterable[Mapping[str, Any]]) -> str:
    """The classes of a dataset's splits in words; empty while no trial is finished."""
    for run in finished:
        return (
            f"{run['num_known']} known and {run['num_unknown']} unknown classes, "
            f"openness {100 * run['openness']:.1f} %"
        )
    return ""


def _ours(column: Sequence[Cell], metric: str) -> list[Entry]:
    """Entries of one column; a row with missing trials takes no part in the ranks."""
    shown = [
        None if cell.mean is None or cell.missing else round(100 * cell.mean, 1) for cell in column
    ]
    return [
        Entry(
            mean_percent=None if cell.mean is None else 100 * cell.mean,
            std_percent=None if cell.std is None else 100 * cell.std,
            num_finished=cell.num_planned - len(cell.missing),
            num_planned=cell.num_planned,
            rank=rank,
        )
        for cell, rank in zip(column, ranks(shown, metric), strict=True)
    ]


def ranks(shown: Sequence[float | None], metric: str) -> list[int]:
    """1 for the best and 2 for the second best of values as they are printed, 0 else.

    Ties share a rank; where nothing differs, nothing is ranked.
    """
    values = sorted(
        {value for value in shown if value is not None}, reverse=metric not in LOWER_IS_BETTER
    )
    best = values[:2] if len(values) > 1 else []
    return [best.index(value) + 1 if value in best else 0 for value in shown]


def _printed(values: Sequence[Published], paper: str) -> Entry:
    """What `paper` prints; an empty entry where it prints nothing."""
    for value in values:
        if value.paper == paper:
            return Entry(value.value_percent, starred=value.starred, note=value.note)
    return Entry()
