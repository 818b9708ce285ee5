"""All trials of a sweep, by row and dataset, with links into MLflow."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.exports.labels import row_labels
from analysis.exports.read import read_links
from analysis.exports.schema import METRICS, FinishedTrial, PlannedTrial

ALL_TRIALS = "viewStateShareKey=all&workflowType=machine_learning"  # see tracking/views.py


@dataclass(frozen=True)
class ListedTrial:
    """One trial of a group."""

    trial_id: str
    split: int
    seed: int
    metrics: Mapping[str, float]  # percent; empty while it is not finished
    link: str  # into MLflow; "" where the export does not say
    imported: str  # whence it comes; "" for our own


@dataclass(frozen=True)
class Group:
    """The trials behind the cells of one row and dataset."""

    anchor: str
    title: str
    trials: tuple[ListedTrial, ...]

    @property
    def num_done(self) -> int:
        """Trials that are finished."""
        return sum(bool(trial.metrics) for trial in self.trials)


def links_into(folder: Path, mlflow_url: str) -> tuple[dict[str, str], str]:
    """Into MLflow, by stage; and to all trials of the sweep."""
    links, all_runs = {}, ""
    for link in read_links(folder).to_pylist():
        listed = f"{mlflow_url.rstrip('/')}/#/experiments/{link['experiment_id']}/runs"
        links[link["stage_id"]] = f"{listed}/{link['run_id']}"
        all_runs = f"{listed}?{ALL_TRIALS}"
    return links, all_runs


def grouped(
    sweep: str,
    planned: Sequence[PlannedTrial],
    finished: Mapping[str, FinishedTrial],
    links: Mapping[str, str],
) -> tuple[Group, ...]:
    """The trials behind each row and dataset, in the spec's order."""
    labels = row_labels(planned)
    by_title: dict[str, list[ListedTrial]] = defaultdict(list)
    for trial in planned:
        measured = finished.get(trial.trial_id, {})
        metrics = {metric: 100 * measured[metric] for metric in METRICS if metric in measured}
        link = links.get(trial.trial_id, "")
        by_title[f"{labels[trial.trial_id]} on {trial.dataset}"].append(
            ListedTrial(trial.trial_id, trial.split, trial.seed, metrics, link, trial.imported)
        )
    return tuple(
        Group(f"trials-{sweep}-{number}", title, tuple(trials))
        for number, (title, trials) in enumerate(by_title.items())
    )
