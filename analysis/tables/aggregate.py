"""Trials -> averages: mean and deviation of each metric for each row and dataset, and ranks. Pure.

A row of a table is a method and those of its hyperparameters in which its trials on a dataset
differ: "CAC", or "CAC (alpha=5)" and "CAC (alpha=10)". A hyperparameter that merely follows the
dataset makes no rows of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from analysis.exports.schema import (
    METRICS,
    FinishedTrial,
    PlannedTrial,
    unfinished,
)
from osr_core.identity import canonical_json

METRIC_TITLES = {
    "accuracy": "ACC",
    "auroc": "AUROC",
    "oscr": "OSCR",
    "aupr_unknown": "AUPR-out",
    "aupr_known": "AUPR-in",
    "fpr95": "FPR95",
    "macro_f1": "macro-F1",
}
LOWER_IS_BETTER = ("fpr95",)


@dataclass(frozen=True)
class Average:
    """One metric of one row on one dataset, over those of its trials that are finished."""

    mean: float | None  # fraction, over splits, each the mean over its seeds; None without trials
    std: float | None  # sample deviation over splits; None with fewer than two
    num_planned: int  # trials
    missing: tuple[PlannedTrial, ...]

    @property
    def num_finished(self) -> int:
        """Trials behind the mean."""
        return self.num_planned - len(self.missing)


def averages(
    planned: Iterable[PlannedTrial], finished: Mapping[str, FinishedTrial]
) -> dict[tuple[str, str, str], Average]:
    """Averages by (row, dataset, metric), rows in the order of the planned trials.

    Finished trials that are not planned are left out.
    """
    planned = list(planned)
    rows = row_labels(planned)
    groups: dict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for trial in planned:
        groups[rows[trial.trial_id], trial.dataset].append(trial)
    return {
        (row, dataset, metric): average(trials, metric, finished)
        for (row, dataset), trials in groups.items()
        for metric in METRICS
    }


def average(
    planned: Sequence[PlannedTrial], metric: str, finished: Mapping[str, FinishedTrial]
) -> Average:
    """The average over the trials of one row and dataset that are finished."""
    by_split: dict[int, list[float]] = defaultdict(list)
    for trial in planned:
        if trial.trial_id in finished:
            by_split[trial.split].append(finished[trial.trial_id][metric])
    splits = [fmean(values) for values in by_split.values()]
    return Average(
        mean=fmean(splits) if splits else None,
        std=stdev(splits) if len(splits) > 1 else None,
        num_planned=len(planned),
        missing=unfinished(planned, finished),
    )


def ranks(shown: Sequence[float | None], metric: str) -> list[int]:
    """1 for the best and 2 for the second best of values as they are printed, 0 else.

    Ties share a rank; where nothing differs, nothing is ranked.
    """
    values = sorted(
        {value for value in shown if value is not None}, reverse=metric not in LOWER_IS_BETTER
    )
    best = values[:2] if len(values) > 1 else []
    return [best.index(value) + 1 if value in best else 0 for value in shown]


# -- rows ------------------------------------------------------------------------------------------


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
