"""`osr table compare`: any rows x datasets x metrics over any exports, with tests over splits.

A row is a method with the settings in which its trials differ, as in a sweep's own table. Values
are paired by dataset and split, each the mean over its seeds; only splits that all rows have take
part, and those left out are named. The first row is compared with every other one.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from analysis.exports.read import read_runs
from analysis.exports.schema import METRICS
from analysis.tables import sheet
from analysis.tables.aggregate import row_labels
from analysis.tables.model import METRIC_TITLES
from analysis.tables.statistics import RESAMPLES, average_ranks, bootstrap, holm, wilcoxon
from analysis.tables.sweep_table import LOWER_IS_BETTER, joined, ranks
from osr_core.errors import ConfigError, unknown_name

Task = tuple[str, int]  # dataset and split
POOLED = "all datasets"


@dataclass(frozen=True)
class Line:
    """One row on one dataset, or on all."""

    dataset: str
    metric: str
    row: str
    mean_percent: float
    low_percent: float  # bootstrap interval over splits
    high_percent: float
    num_pairs: int  # splits
    average_rank: float
    difference_percent: float | None  # the first row's mean less this one's; None for the first
    p_value: float | None  # Wilcoxon, uncorrected
    p_holm: float | None = None  # corrected over all tests of the comparison


@dataclass(frozen=True)
class Comparison:
    """All lines, under what they rest on."""

    sweeps: tuple[str, ...]
    protocol: str
    commit: str
    rows: tuple[str, ...]
    lines: tuple[Line, ...]
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
    lines = [
        line
        for metric in metrics
        for name, group in _groups(tasks).items()
        for line in _lines(name, metric, shown, group, values)
    ]
    return Comparison(
        tuple(folder.name for folder in folders),
        ", ".join(sorted(protocols)),
        ", ".join(sorted(commits)),
        tuple(shown),
        tuple(_corrected(lines)),
        tuple(f"{name}/{split}" for name, split in sorted(set(wanted) - set(tasks))),
    )


def _values(
    folders: Sequence[Path],
) -> tuple[dict[str, dict[Task, dict[str, float]]], set[str], set[str]]:
    """Means over seeds by row, task and metric."""
    grouped: dict[str, dict[Task, list[Mapping[str, float]]]] = defaultdict(dict)
    protocols, commits = set(), set()
    for folder in folders:
        runs, plan = read_runs(folder)
        protocols.add(plan.protocol)
        commits.add(joined(runs["commit"]))
        labels = row_labels(plan.trials)
        here: dict[tuple[str, Task], list[Mapping[str, float]]] = defaultdict(list)
        finished = {run["trial_id"]: run for run in runs.to_pylist()}
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
            task: {metric: fmean(run[metric] for run in found) for metric in METRICS}
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


def _lines(
    name: str,
    metric: str,
    rows: Sequence[str],
    tasks: Sequence[Task],
    values: Mapping[str, Mapping[Task, Mapping[str, float]]],
) -> list[Line]:
    """Every row on one group of tasks, uncorrected."""
    columns = {row: [100 * values[row][task][metric] for task in tasks] for row in rows}
    table = list(zip(*columns.values(), strict=True))
    mean_ranks = average_ranks(table, metric in LOWER_IS_BETTER).tolist()
    first = columns[rows[0]]
    lines = []
    for number, (row, column) in enumerate(columns.items()):
        low, high = bootstrap(column)
        pair = (fmean(first) - fmean(column), wilcoxon(first, column)) if number else (None, None)
        measured = (fmean(column), low, high, len(tasks), mean_ranks[number])
        lines.append(Line(name, metric, row, *measured, *pair))
    return lines


def _corrected(lines: Sequence[Line]) -> list[Line]:
    """The same lines, p-values corrected over all tests together."""
    tested = [line.p_value for line in lines if line.p_value is not None]
    corrected = iter(holm(tested))
    return [
        Line(**{**asdict(line), "p_holm": next(corrected)}) if line.p_value is not None else line
        for line in lines
    ]


# -- text ------------------------------------------------------------------------------------------


def render(comparison: Comparison, format: str) -> str:
    """The text in one of the formats of RENDERERS.

    Raises:
        ConfigError: no such format; says which there are.
    """
    if format not in RENDERERS:
        raise ConfigError(unknown_name("format", format, RENDERERS))
    return RENDERERS[format](comparison)


def to_sheet(comparison: Comparison) -> sheet.Sheet:
    """One panel per metric and dataset."""
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in comparison.lines:
        groups[line.metric, line.dataset].append(line)
    tests = sum(line.p_value is not None for line in comparison.lines)
    legend = (
        f"Percent. Interval: 95 % bootstrap of the mean, {RESAMPLES} resamples of the splits, "
        "seed 0; it generalises over splits drawn like these, not over seeds or test images.",
        f"Difference: {comparison.rows[0]} less the row. p: Wilcoxon signed-rank over the same "
        f"splits, two-sided, in brackets Holm-corrected for all {tests} tests shown.",
        "Rank: mean over splits, 1 best. Five splits alone cannot give p below 1/16.",
    )
    remarks = tuple(f"left out, not there of all rows: {task}" for task in comparison.left_out)
    panels = tuple(
        sheet.Panel(
            f"{metric}-{dataset}".replace(" ", "-"),
            f"{METRIC_TITLES[metric]}, {dataset} (n = {lines[0].num_pairs})",
            ("method", "mean", "interval", "rank", "difference", "p (Holm)"),
            _rows(metric, lines),
            remarks,
            legend,
        )
        for (metric, dataset), lines in groups.items()
    )
    rests_on = (
        f"sweeps {', '.join(comparison.sweeps)}, protocol {comparison.protocol}, commit "
        f"{comparison.commit}"
    )
    return sheet.Sheet("compare", "Comparison", rests_on, panels, legend)


def _rows(metric: str, lines: Sequence[Line]) -> tuple[tuple[sheet.Cell, ...], ...]:
    places = ranks([round(line.mean_percent, 1) for line in lines], metric)
    rows = []
    for line, place in zip(lines, places, strict=True):
        cells = [
            sheet.cell(line.row),
            sheet.cell(f"{line.mean_percent:.1f}", line.mean_percent, place),
            sheet.cell(f"{line.low_percent:.1f} to {line.high_percent:.1f}", line.low_percent),
            sheet.cell(f"{line.average_rank:.2f}", line.average_rank),
        ]
        if line.p_value is None or line.difference_percent is None:
            cells += [sheet.cell("-"), sheet.cell("-")]
        else:
            shown = f"{line.p_value:.3f} ({line.p_holm:.3f})"
            cells.append(sheet.cell(f"{line.difference_percent:+.1f}", line.difference_percent))
            cells.append(sheet.cell(shown, line.p_value))
        rows.append(tuple(cells))
    return tuple(rows)


def to_csv(comparison: Comparison) -> str:
    """One line per row, dataset and metric."""
    out = io.StringIO()
    lines = csv.DictWriter(out, list(Line.__dataclass_fields__), lineterminator="\n")
    lines.writeheader()
    lines.writerows(asdict(line) for line in comparison.lines)
    return out.getvalue()


def to_json(comparison: Comparison) -> str:
    """Everything with every digit."""
    return json.dumps(asdict(comparison), indent=2, ensure_ascii=False) + "\n"


RENDERERS: dict[str, Callable[[Comparison], str]] = {
    "markdown": lambda comparison: sheet.to_markdown(to_sheet(comparison)),
    "latex": lambda comparison: sheet.to_latex(to_sheet(comparison)),
    "html": lambda comparison: sheet.to_html(to_sheet(comparison)),
    "csv": to_csv,
    "json": to_json,
}
