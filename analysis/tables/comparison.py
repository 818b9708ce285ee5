"""`osr table compare`: any rows x datasets x metrics over any exports, with tests over splits.

A row is a method with the settings in which its trials differ, as in a sweep's own table. Values
are paired by dataset and split, each the mean over its seeds; only splits that all rows have take
part, and those left out are named. The first row is compared with every other one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from analysis.exports.labels import row_labels
from analysis.exports.read import by_id, joined, read_runs
from analysis.exports.schema import METRICS, FinishedTrial
from analysis.tables.aggregate import LOWER_IS_BETTER
from analysis.tables.statistics import average_ranks, bootstrap, holm, wilcoxon
from osr_core.errors import ConfigError, unknown_name

Task = tuple[str, int]  # dataset and split
POOLED = "all datasets"


@dataclass(frozen=True)
class Standing:
    """How one row stands on one dataset, or on all."""

    dataset: str
    metric: str
    row: str
    mean_percent: float
    low_percent: float | None  # bootstrap interval over splits; None of one split
    high_percent: float | None
    num_pairs: int  # splits
    average_rank: float
    difference_percent: float | None  # the first row's mean less this one's; None for the first
    p_value: float | None  # Wilcoxon, uncorrected
    p_holm: float | None = None  # corrected over all tests of the comparison


@dataclass(frozen=True)
class Comparison:
    """All standings, under what they rest on."""

    sweeps: tuple[str, ...]
    protocol: str
    commit: str
    rows: tuple[str, ...]
    standings: tuple[Standing, ...]
    left_out: tuple[str, ...]  # tasks that not every row has


def compare(
    folders: Sequence[Path],
    rows: Sequence[str] = (),
    datasets: Sequence[str] = (),
    metrics: Sequence[str] = ("auroc",),
) -> Comparison:
    """Compare rows of exported sweeps; by default all rows on all datasets.

    Raises:
        ConfigError: a row, dataset or metric that is not there; fewer than two rows; one row of the
            same name in two sweeps on the same task; no task that all rows have.
        DataError: a folder holds no export.
    """
    values, protocols, commits = _values(folders)
    shown = list(dict.fromkeys(rows)) or list(values)
    there = {task[0] for found in values.values() for task in found}
    problems = [unknown_name("row", row, values) for row in shown if row not in values]
    problems += [unknown_name("dataset", name, there) for name in datasets if name not in there]
    problems += [unknown_name("metric", name, METRICS) for name in metrics if name not in METRICS]
    if len(shown) < 2:
        problems.append(f"a comparison needs two rows or more; there is {', '.join(shown)}.")
    if problems:
        raise ConfigError(problems)
    wanted = [
        task
        for task in dict.fromkeys(task for row in shown for task in values[row])
        if not datasets or task[0] in datasets
    ]
    tasks = sorted(task for task in wanted if all(task in values[row] for row in shown))
    if not tasks:
        raise ConfigError(f"no split is there of all of {', '.join(shown)}; nothing is paired.")
    standings = [
        standing
        for metric in metrics
        for name, group in _groups(tasks).items()
        for standing in _standings(name, metric, shown, group, values)
    ]
    return Comparison(
        tuple(folder.name for folder in folders),
        ", ".join(sorted(protocols)),
        ", ".join(sorted(commits)),
        tuple(shown),
        tuple(_corrected(standings)),
        tuple(f"{name}/{split}" for name, split in sorted(set(wanted) - set(tasks))),
    )


def _values(
    folders: Sequence[Path],
) -> tuple[dict[str, dict[Task, dict[str, float]]], set[str], set[str]]:
    """Means over seeds by row, task and metric."""
    grouped: dict[str, dict[Task, list[FinishedTrial]]] = defaultdict(dict)
    protocols, commits = set(), set()
    for folder in folders:
        runs, plan = read_runs(folder)
        protocols.add(plan.protocol)
        commits.add(joined(runs["commit"]))
        labels = row_labels(plan.trials)
        here: dict[tuple[str, Task], list[FinishedTrial]] = defaultdict(list)
        finished = by_id(runs)
        for trial in plan.trials:
            if trial.trial_id in finished:
                task = (trial.dataset, trial.split)
                here[labels[trial.trial_id], task].append(finished[trial.trial_id])
        for (row, task), found in here.items():
            if task in grouped[row]:
                raise ConfigError(
                    f"row '{row}' has {task[0]}/{task[1]} in two of the sweeps; name one of them."
                )
            grouped[row][task] = found
    means = {
        row: {
            task: {metric: fmean(trial[metric] for trial in found) for metric in METRICS}
            for task, found in tasks.items()
        }
        for row, tasks in grouped.items()
    }
    return means, protocols, commits


def _groups(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    """Tasks by dataset, and all of them where there are several datasets."""
    groups: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task[0]].append(task)
    return {**groups, POOLED: list(tasks)} if len(groups) > 1 else dict(groups)


def _standings(
    name: str,
    metric: str,
    rows: Sequence[str],
    tasks: Sequence[Task],
    values: Mapping[str, Mapping[Task, Mapping[str, float]]],
) -> list[Standing]:
    """Every row on one group of tasks, uncorrected."""
    columns = {row: [100 * values[row][task][metric] for task in tasks] for row in rows}
    table = list(zip(*columns.values(), strict=True))
    mean_ranks = average_ranks(table, metric in LOWER_IS_BETTER).tolist()
    first = columns[rows[0]]
    standings = []
    for number, (row, column) in enumerate(columns.items()):
        low, high = bootstrap(column) if len(column) > 1 else (None, None)
        pair = (fmean(first) - fmean(column), wilcoxon(first, column)) if number else (None, None)
        measured = (fmean(column), low, high, len(tasks), mean_ranks[number])
        standings.append(Standing(name, metric, row, *measured, *pair))
    return standings


def _corrected(standings: Sequence[Standing]) -> list[Standing]:
    """The same standings, p-values corrected over all tests together."""
    tested = [standing.p_value for standing in standings if standing.p_value is not None]
    corrected = iter(holm(tested))
    return [
        standing if standing.p_value is None else replace(standing, p_holm=next(corrected))
        for standing in standings
    ]
