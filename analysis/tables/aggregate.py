"""Trials -> cells: the mean and the deviation of each metric for each row and dataset. Pure.

A row of a table is a method and those of its hyperparameters in which its trials on a dataset
differ: "CAC", or "CAC (alpha=5)" and "CAC (alpha=10)". A hyperparameter that merely follows the
dataset makes no rows of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import pyarrow as pa

from analysis.exports.schema import METRICS, PlannedTrial
from osr_core.identity import canonical_json


@dataclass(frozen=True)
class Cell:
    """One metric of one row on one dataset, over those of its trials that are finished."""

    mean: float | None  # fraction, over splits, each the mean over its seeds; None without trials
    std: float | None  # sample deviation over splits; None with fewer than two
    num_planned: int  # trials
    missing: tuple[PlannedTrial, ...]


def cells(runs: pa.Table, planned: Iterable[PlannedTrial]) -> dict[tuple[str, str, str], Cell]:
    """Cells by (row, dataset, metric), rows in the order of the planned trials.

    `runs` has the columns of runs.parquet; trials that are not planned are left out.
    """
    finished = {run["trial_id"]: run for run in runs.select(["trial_id", *METRICS]).to_pylist()}
    planned = list(planned)
    rows = row_labels(planned)
    groups: dict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for trial in planned:
        groups[rows[trial.trial_id], trial.dataset].append(trial)
    return {
        (row, dataset, metric): aggregated(trials, metric, finished)
        for (row, dataset), trials in groups.items()
        for metric in METRICS
    }


def row_labels(planned: Iterable[PlannedTrial]) -> dict[str, str]:
    """The row of each trial by trial_id."""
    groups: dict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for trial in planned:
        groups[trial.title, trial.dataset].append(trial)
    return {
        trial.trial_id: _label(trial, varied)
        for trials in groups.values()
        for varied in [_varied(trials)]
        for trial in trials
    }


def aggregated(
    trials: list[PlannedTrial], metric: str, finished: Mapping[str, Mapping[str, Any]]
) -> Cell:
    """The cell of trials of one row and dataset, from the runs of those that are finished."""
    by_split: dict[int, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.trial_id in finished:
            by_split[trial.split].append(finished[trial.trial_id][metric])
    splits = [fmean(values) for values in by_split.values()]
    return Cell(
        mean=fmean(splits) if splits else None,
        std=stdev(splits) if len(splits) > 1 else None,
        num_planned=len(trials),
        missing=tuple(trial for trial in trials if trial.trial_id not in finished),
    )


def _varied(trials: list[PlannedTrial]) -> list[str]:
    """Names of the hyperparameters in which the trials differ."""
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    return [
        name
        for name in names
        if len({canonical_json(trial.hyperparameters.get(name)) for trial in trials}) > 1
    ]


def _label(trial: PlannedTrial, varied: list[str]) -> str:
    settings = [
        f"{name}={_text(trial.hyperparameters[name])}"
        for name in varied
        if name in trial.hyperparameters
    ]
    return f"{trial.title} ({', '.join(settings)})" if settings else trial.title


def _text(value: Any) -> str:
    """5 for 5.0 as a spec has it, words without quotes, everything else as JSON."""
    return value if isinstance(value, str) else canonical_json(value).removesuffix(".0")
