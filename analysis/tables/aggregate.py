"""Trials -> averages: mean and deviation of each metric for each row and dataset, and ranks. Pure.

What a row is and how it is called is said in `exports.labels`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from analysis.exports.labels import row_labels
from analysis.exports.schema import METRICS, FinishedTrial, PlannedTrial, unfinished

METRIC_TITLES = {
    "accuracy": "ACC",
    "auroc": "AUROC",
    "auroc_error": "AUROC s.e.",
    "oscr": "OSCR",
    "aupr_unknown": "AUPR-out",
    "aupr_known": "AUPR-in",
    "fpr95_known_positive": "FPR95 (unknowns accepted)",
    "fpr95_unknown_positive": "FPR95 (knowns rejected)",
    "macro_f1": "macro-F1",
    "aurc": "AURC",
    "ece": "ECE",
}
LOWER_IS_BETTER = (
    "auroc_error",
    "fpr95_known_positive",
    "fpr95_unknown_positive",
    "aurc",
    "ece",
)


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
