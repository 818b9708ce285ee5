"""Cells of a sweep that are not filled yet, and the command that fills them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analysis.exports.schema import PlannedTrial, unfinished


@dataclass(frozen=True)
class MissingCell:
    """A row and dataset with trials that have no result."""

    row: str
    dataset: str
    trials: tuple[str, ...]  # "split 0 seed 0"
    num_planned: int


def missing_cells(
    planned: Sequence[PlannedTrial], finished: Collection[str], labels: Mapping[str, str]
) -> tuple[MissingCell, ...]:
    """In the spec's order; none where all is done."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for trial in planned:
        counts[labels[trial.trial_id], trial.dataset] += 1
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trial in unfinished(planned, finished):
        told = f"split {trial.split} seed {trial.seed}"
        lost[labels[trial.trial_id], trial.dataset].append(told)
    return tuple(
        MissingCell(row, dataset, tuple(trials), counts[row, dataset])
        for (row, dataset), trials in lost.items()
    )


def filled_by(sweep: str, packaged: Collection[str]) -> str:
    """The command that runs what a sweep lacks; `packaged` are the specs that come with osr."""
    spec = sweep.replace("-", "_")
    return f"osr run {spec if spec in packaged else 'SPEC.yaml'}"
