"""`osr table compare`: any rows x datasets x metrics over any exports, with tests over splits.

A row is a method with the settings in which its trials differ, as in a sweep's own table. Only what
all rows have takes part (see `pairing`), and what is left out is named. The first row is compared
with every other one.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from analysis.exports.labels import changes_label
from analysis.exports.mixture import mixture
from analysis.exports.read import by_id, read_runs
from analysis.exports.schema import METRICS, FinishedTrial, Plan
from analysis.tables.aggregate import LOWER_IS_BETTER
from analysis.tables.difference import difference
from analysis.tables.pairing import Found, Seeds, Task, left_out, means, paired, rows_in
from analysis.tables.statistics import average_ranks, bootstrap, holm
from osr_core.errors import ConfigError, unknown_name

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
    difference_low_percent: float | None  # its interval, as the mean's
    difference_high_percent: float | None
    p_value: float | None  # Wilcoxon, uncorrected
    p_holm: float | None = None  # corrected over all tests of the comparison


@dataclass(frozen=True)
class Comparison:
    """All standings, under what they rest on."""

    sweeps: Mapping[str, str]  # with what each one's spec changes of its recipe; "" for nothing
    protocols: Mapping[str, str]  # by dataset
    commit: str
    rows: tuple[str, ...]
    selections: Mapping[str, str]  # by row, how its hyperparameters were chosen
    standings: tuple[Standing, ...]
    left_out: tuple[str, ...]  # tasks, or seeds of them, that not every row has
    mixture: str  # what the trials were computed on differently, in words; "" for nothing
    other_data: tuple[str, ...]  # subsets whose files differ between sweeps


def compare(
    folders: Sequence[Path],
    rows: Sequence[str] = (),
    datasets: Sequence[str] = (),
    metrics: Sequence[str] = ("auroc",),
) -> Comparison:
    """Compare rows of exported sweeps; by default all rows on all datasets.

    Raises:
        ConfigError: a row, dataset or metric that is not there; fewer than two rows; one row of the
            same name in two sweeps on the same task; nothing that all rows have; a dataset under
            two protocols, or two split files of one name.
        DataError: a folder holds no export.
    """
    read = [read_runs(folder) for folder in folders]
    found = rows_in([(plan, by_id(runs)) for runs, plan in read])
    shown = list(dict.fromkeys(rows)) or list(found)
    there = {task.dataset for tasks in found.values() for task in tasks}
    _refuse_wrong_names(shown, list(found), datasets, there, metrics)
    inside = datasets or there
    wanted = {
        row: {task: of for task, of in found[row].items() if task.dataset in inside}
        for row in shown
    }
    seeds = paired(wanted)
    values = {row: means(of, seeds) for row, of in wanted.items()}
    standings = [
        standing
        for metric in metrics
        for name, group in _groups(list(seeds)).items()
        for standing in _standings(name, metric, group, values)
    ]
    trials = [of[task][seed] for of in wanted.values() for task in seeds for seed in seeds[task]]
    plans = _refuse_other_classes([plan for _, plan in read], trials)
    return Comparison(
        {folder.name: changes_label(of) for folder, (_, of) in zip(folders, read, strict=True)},
        {task.dataset: task.protocol for task in seeds},
        ", ".join(sorted({commit for runs, _ in read for commit in runs["commit"].to_pylist()})),
        tuple(shown),
        {row: _selection(wanted[row], seeds) for row in shown},
        tuple(_corrected(standings)),
        tuple(left_out(wanted, seeds)),
        mixture(trials),
        tuple(_differing([plan.data for plan in plans])),
    )


def _refuse_wrong_names(
    shown: Sequence[str],
    rows: Collection[str],
    datasets: Sequence[str],
    there: Collection[str],
    metrics: Sequence[str],
) -> None:
    problems = [unknown_name("row", row, rows) for row in shown if row not in rows]
    problems += [unknown_name("dataset", name, there) for name in datasets if name not in there]
    problems += [unknown_name("metric", name, METRICS) for name in metrics if name not in METRICS]
    if len(shown) < 2:
        has = ", ".join(shown) or "none"
        problems.append(f"a comparison needs two rows or more; there is {has}.")
    if problems:
        raise ConfigError(problems)


def _selection(of: Found, seeds: Seeds) -> str:
    """How the hyperparameters of a row were chosen, every way once."""
    return "; ".join(
        dict.fromkeys(of[task][seed]["selection"] for task in seeds for seed in of[task])
    )


def _refuse_other_classes(plans: Sequence[Plan], trials: Sequence[FinishedTrial]) -> Sequence[Plan]:
    """The plans of some trials; split files of one name that are not the same are refused."""
    sweeps = {trial["sweep"] for trial in trials}
    plans = [plan for plan in plans if plan.sweep in sweeps]
    if other := _differing([plan.classes for plan in plans]):
        raise ConfigError(
            f"{', '.join(other)} has other classes in one of the sweeps than in another one; give "
            "their split files different names, or run the methods in one sweep."
        )
    return plans


def _differing(sweeps: Sequence[Mapping[str, str]]) -> list[str]:
    """What is there in several sweeps and not the same."""
    found: dict[str, set[str]] = defaultdict(set)
    for sweep in sweeps:
        for name, value in sweep.items():
            found[name].add(value)
    return sorted(name for name, values in found.items() if len(values) > 1)


def _groups(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    """Tasks by dataset, and all of them where there are several datasets."""
    groups: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task.dataset].append(task)
    return {**groups, POOLED: list(tasks)} if len(groups) > 1 else dict(groups)


def _standings(
    name: str,
    metric: str,
    tasks: Sequence[Task],
    values: Mapping[str, Mapping[Task, Mapping[str, float]]],
) -> list[Standing]:
    """Every row on one group of tasks, uncorrected."""
    columns = {row: [100 * of[task][metric] for task in tasks] for row, of in values.items()}
    table = list(zip(*columns.values(), strict=True))
    mean_ranks = average_ranks(table, metric in LOWER_IS_BETTER).tolist()
    first = next(iter(columns.values()))
    standings = []
    for number, (row, column) in enumerate(columns.items()):
        low, high = bootstrap(column) if len(column) > 1 else (None, None)
        measured = (fmean(column), low, high, len(tasks), mean_ranks[number])
        found = difference(first, column) if number else None
        behind = (found.mean, found.low, found.high, found.p_value) if found else (None,) * 4
        standings.append(Standing(name, metric, row, *measured, *behind))
    return standings


def _corrected(standings: Sequence[Standing]) -> list[Standing]:
    """The same standings, p-values corrected over all tests together."""
    tested = [standing.p_value for standing in standings if standing.p_value is not None]
    corrected = iter(holm(tested))
    return [
        standing if standing.p_value is None else replace(standing, p_holm=next(corrected))
        for standing in standings
    ]
