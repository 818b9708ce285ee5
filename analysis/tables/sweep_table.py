"""An exported sweep -> a table: one block per dataset, ours beside what the papers print.

Only runs.parquet is read. `sweep_sheet` puts the table into words.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.exports.labels import recipe_label, row_labels
from analysis.exports.mixture import mixture
from analysis.exports.read import by_id, joined, read_runs
from analysis.exports.schema import METRICS, FinishedTrial, PlannedTrial
from analysis.exports.selection import in_short
from analysis.papers.published import PAPERS, Published, published
from analysis.tables.aggregate import METRIC_TITLES, Average, averages, ranks
from osr_core.errors import ConfigError, unknown_name

DEFAULT_METRICS = ("accuracy", "auroc", "oscr")


@dataclass(frozen=True)
class Heading:
    """One column of numbers."""

    metric: str
    paper: str = ""  # key of PAPERS; "" for ours

    @property
    def text(self) -> str:
        """'AUROC', or 'AUROC (CAC)' for what that paper prints."""
        title = METRIC_TITLES[self.metric]
        return f"{title} ({self.paper})" if self.paper else title


@dataclass(frozen=True)
class Entry:
    """One number: ours, or a paper's."""

    mean_percent: float | None = None  # None: nothing finished, or nothing printed
    std_percent: float | None = None  # over splits
    num_finished: int = 0  # trials; 0 of 0 for a paper's number
    num_planned: int = 0
    rank: int = 0  # 1 best of the column, 2 second best, ties share; 0 else, and for papers
    starred: bool = False  # re-run by the paper's authors
    note: str = ""  # what was wrong with the printed value


@dataclass(frozen=True)
class Row:
    """A method, with the hyperparameters that set it apart."""

    label: str
    selection: str  # how its hyperparameters were chosen
    entries: tuple[Entry, ...]  # one per heading
    missing: tuple[PlannedTrial, ...]
    origins: tuple[str, ...] = ()  # of what was made elsewhere, whence it comes


@dataclass(frozen=True)
class Block:
    """All rows of one dataset."""

    dataset: str
    task: str  # numbers of classes and openness in words; empty while no trial is finished
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    mixture: str  # as `Table`'s, of this dataset's trials


@dataclass(frozen=True)
class Table:
    """What was asked for, under what it rests on."""

    sweep: str
    protocol: str
    recipe: str  # and what the spec changes of it for all methods
    selection: str  # rules that chose the hyperparameters
    num_splits: int
    num_seeds: int
    commit: str  # code version; more than one where trials were scored by different ones
    blocks: tuple[Block, ...]
    mixture: str  # what the trials were computed on differently, in words; "" for nothing


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
    planned = [trial for trial in plan.trials if trial.dataset in shown]
    finished = {i: trial for i, trial in by_id(runs).items() if trial["dataset"] in shown}
    return Table(
        sweep=plan.sweep,
        protocol=plan.protocol,
        recipe=recipe_label(plan),
        selection=in_short(trial.selection for trial in planned),
        num_splits=len({trial.split for trial in planned}),
        num_seeds=len({trial.seed for trial in planned}),
        commit=joined(finished.values(), "commit") or plan.commit,
        blocks=tuple(_block(name, planned, finished, metrics) for name in shown),
        mixture=mixture(finished[i.trial_id] for i in planned if i.trial_id in finished),
    )


def _block(
    dataset: str,
    planned: Sequence[PlannedTrial],
    finished: Mapping[str, FinishedTrial],
    metrics: Sequence[str],
) -> Block:
    planned = [trial for trial in planned if trial.dataset == dataset]
    labels = row_labels(planned)
    finished = {name: trial for name, trial in finished.items() if name in labels}
    titles = {labels[trial.trial_id]: trial.title for trial in planned}  # by row, in order
    backbones = {labels[i]: json.loads(trial["backbone"])["name"] for i, trial in finished.items()}
    ours = averages(planned, finished)
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
    chosen = {labels[trial.trial_id]: trial.selection for trial in planned}
    origins: dict[str, list[str]] = {row: [] for row in titles}
    for trial in planned:
        if trial.imported:
            told = f"{trial.dataset}/{trial.split}: {trial.imported}"
            origins[labels[trial.trial_id]].append(told)
    rows = [
        Row(
            row,
            chosen[row],
            tuple(entries),
            ours[row, dataset, METRICS[0]].missing,
            tuple(origins[row]),
        )
        for row, *entries in zip(titles, *columns.values(), strict=True)
    ]
    task, differing = _task(finished.values()), mixture(finished.values())
    return Block(dataset, task, tuple(columns), tuple(rows), differing)


def _task(finished: Iterable[FinishedTrial]) -> str:
    """The classes of a dataset's splits in words; empty while no trial is finished."""
    for trial in finished:
        return (
            f"{trial['num_known']} known and {trial['num_unknown']} unknown classes, "
            f"openness {100 * trial['openness']:.1f} %"
        )
    return ""


def _ours(column: Sequence[Average], metric: str) -> list[Entry]:
    """Entries of one column; a row with missing trials takes no part in the ranks."""
    shown = [
        None if one.mean is None or one.missing else round(100 * one.mean, 1) for one in column
    ]
    return [
        Entry(
            mean_percent=None if one.mean is None else 100 * one.mean,
            std_percent=None if one.std is None else 100 * one.std,
            num_finished=one.num_finished,
            num_planned=one.num_planned,
            rank=rank,
        )
        for one, rank in zip(column, ranks(shown, metric), strict=True)
    ]


def _printed(values: Sequence[Published], paper: str) -> Entry:
    """What `paper` prints; an empty entry where it prints nothing."""
    for value in values:
        if value.paper == paper:
            return Entry(value.value_percent, starred=value.starred, note=value.note)
    return Entry()
