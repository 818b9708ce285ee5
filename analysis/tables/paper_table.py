"""A paper's table, ours beside what it prints: one export and one layout -> places filled.

Trials belong to a line if they have its method, its hyperparameters and its network. Where they
come in several variants otherwise (a grid), the plan's first one is taken and the line says so.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.exports.read import read_runs
from analysis.exports.schema import METRICS, RUNS, Plan, PlannedTrial, canonical_json, runs_schema
from analysis.papers.layout import Grid, Layout, Line, Place, Printed
from analysis.papers.layouts import layout_named
from analysis.tables.aggregate import aggregated
from analysis.tables.sweep_table import joined, ranks

Run = Mapping[str, Any]


@dataclass(frozen=True)
class Filled:
    """One place: ours and the paper's, in the paper's unit."""

    ours: float | str | None = None
    std: float | None = None  # over splits
    rank: int = 0  # among ours
    num_finished: int = 0
    num_planned: int = 0
    trial_ids: tuple[str, ...] = ()  # finished, behind the number
    printed: float | str | None = None
    printed_rank: int = 0  # among the paper's
    starred: bool = False
    note: str = ""

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, where both are numbers."""
        if isinstance(self.ours, float) and isinstance(self.printed, float):
            return self.ours - self.printed
        return None


@dataclass(frozen=True)
class FilledLine:
    """One row."""

    label: str
    features: tuple[str, ...]
    places: tuple[Filled, ...]
    remark: str = ""  # which of several variants is shown


@dataclass(frozen=True)
class FilledGrid:
    """One block."""

    layout: Grid
    lines: tuple[FilledLine, ...]


@dataclass(frozen=True)
class PaperTable:
    """All of it, under what it rests on."""

    layout: Layout
    protocol: str
    recipe: str
    selection: str
    num_splits: int
    num_seeds: int
    commit: str
    exported: bool  # False: the sweep has no export, every place of ours is empty
    grids: tuple[FilledGrid, ...]


def paper_table(name: str, exports: Path) -> PaperTable:
    """The table `name`, from the export of its sweep under `exports` if it is there.

    Raises:
        ConfigError: no such table.
    """
    layout = layout_named(name)
    folder = exports / layout.sweep
    exported = (folder / RUNS).is_file()
    if exported:
        runs, plan = read_runs(folder)
    else:
        plan = Plan(layout.sweep, "-", "-", "-", ())
        runs = runs_schema(plan).empty_table()
    finished = {run["trial_id"]: run for run in runs.to_pylist()}
    return PaperTable(
        layout=layout,
        protocol=plan.protocol,
        recipe=plan.recipe,
        selection=joined(runs["selection"]) or "none",
        num_splits=len({trial.split for trial in plan.trials}),
        num_seeds=len({trial.seed for trial in plan.trials}),
        commit=joined(runs["commit"]) or plan.commit,
        exported=exported,
        grids=tuple(
            FilledGrid(grid, _filled(grid, layout, plan.trials, finished)) for grid in layout.grids
        ),
    )


def _filled(
    grid: Grid, layout: Layout, planned: Sequence[PlannedTrial], finished: Mapping[str, Run]
) -> tuple[FilledLine, ...]:
    chosen = {
        (row, column): _chosen(line, place, planned)
        for row, line in enumerate(grid.lines)
        for column, place in enumerate(grid.places)
    }
    columns = []
    for number, place in enumerate(grid.places):
        printed = [
            grid.printed.get((line.label, place.label), Printed(None)) for line in grid.lines
        ]
        trials = [chosen[line, number][0] for line in range(len(grid.lines))]
        if place.quantity in METRICS:
            columns.append(_measured(place.quantity, layout, trials, printed, finished))
        else:
            columns.append(_stated(place.quantity, trials, printed, finished))
    return tuple(
        FilledLine(
            line.label,
            line.features,
            tuple(column[number] for column in columns),
            next((chosen[number, p][1] for p in range(len(columns)) if chosen[number, p][1]), ""),
        )
        for number, line in enumerate(grid.lines)
    )


def _chosen(
    line: Line, place: Place, planned: Sequence[PlannedTrial]
) -> tuple[list[PlannedTrial], str]:
    """The trials of a place, all of one variant, and a remark where there are more variants."""
    dataset = place.dataset or line.dataset
    variants: dict[str, list[PlannedTrial]] = {}
    for trial in planned:
        if trial.dataset == dataset and _matches(line, trial):
            variants.setdefault(canonical_json(dict(trial.hyperparameters)), []).append(trial)
    if not line.title:
        return [trial for trials in variants.values() for trial in trials], ""
    remark = ""
    if len(variants) > 1:
        remark = f"{len(variants)} settings of the sweep match; the first is shown"
    return next(iter(variants.values()), []), remark


def _matches(line: Line, trial: PlannedTrial) -> bool:
    if line.title and trial.title != line.title:
        return False
    if line.backbone and trial.backbone != line.backbone:
        return False
    settings = trial.hyperparameters
    return all(settings.get(name, value) == value for name, value in line.settings.items())


def _measured(
    metric: str,
    layout: Layout,
    trials: Sequence[list[PlannedTrial]],
    printed: Sequence[Printed],
    finished: Mapping[str, Run],
) -> list[Filled]:
    """A column of numbers."""
    cells = [aggregated(group, metric, finished) for group in trials]
    complete = [c.mean is not None and not c.missing for c in cells]
    scaled = [None if c.mean is None else c.mean * layout.scale for c in cells]
    shown = [
        round(value, layout.decimals) if value is not None and whole else None
        for value, whole in zip(scaled, complete, strict=True)
    ]
    theirs = [one.value if isinstance(one.value, float) else None for one in printed]
    rows = zip(cells, scaled, ranks(shown, metric), printed, ranks(theirs, metric), strict=True)
    return [
        Filled(
            ours=value,
            std=None if one.std is None else one.std * layout.scale,
            rank=rank,
            num_finished=one.num_planned - len(one.missing),
            num_planned=one.num_planned,
            trial_ids=_finished_ids(group, finished),
            printed=text.value,
            printed_rank=printed_rank,
            starred=text.starred,
            note=text.note,
        )
        for (one, value, rank, text, printed_rank), group in zip(rows, trials, strict=True)
    ]


def _stated(
    fact: str,
    trials: Sequence[list[PlannedTrial]],
    printed: Sequence[Printed],
    finished: Mapping[str, Run],
) -> list[Filled]:
    """A column of facts."""
    filled = []
    for group, text in zip(trials, printed, strict=True):
        ids = _finished_ids(group, finished)
        ours = FACTS[fact](finished[ids[0]], finished.values()) if ids else None
        filled.append(
            Filled(
                ours=ours,
                num_finished=len(ids),
                num_planned=len(group),
                trial_ids=ids,
                printed=text.value,
                starred=text.starred,
            )
        )
    return filled


def _finished_ids(group: Sequence[PlannedTrial], finished: Mapping[str, Run]) -> tuple[str, ...]:
    return tuple(trial.trial_id for trial in group if trial.trial_id in finished)


# -- facts -----------------------------------------------------------------------------------------


def _input(run: Run, _: Any) -> str:
    network = json.loads(run["backbone"])
    size = network["image_size"]
    return f"{network['channels']}x{size}x{size}"


def _phases(run: Run, _: Any) -> str:
    """Learning rates and for how many epochs, as CAC's Table 4 has them."""
    training = json.loads(run["training"])
    ends = [round(part * training["epochs"]) for part in (*training["drops"], 1)]
    starts = [0, *ends[:-1]]
    rates = [training["lr"] * training["drop_factor"] ** number for number in range(len(ends))]
    return " + ".join(
        f"{rate:g} x {end - start}" for rate, start, end in zip(rates, starts, ends, strict=True)
    )


def _extra_parameters(run: Run, runs: Any) -> str | None:
    """Parameters beyond those of Softmax on the same dataset, as PMAL's Table 2 has them."""
    plain = [
        other["num_parameters"]
        for other in runs
        if other["title"] == "Softmax" and other["dataset"] == run["dataset"]
    ]
    if run["num_parameters"] is None or not plain or plain[0] is None:
        return None
    extra = run["num_parameters"] - plain[0]
    return "0" if extra == 0 else f"{round(extra / 1e6, 1):g}M"


FACTS: dict[str, Callable[[Run, Any], str | None]] = {
    "input": _input,
    "train_images_per_class": lambda run, _: None,
    "known": lambda run, _: str(run["num_known"]),
    "unknown": lambda run, _: str(run["num_unknown"]),
    "openness": lambda run, _: f"{100 * run['openness']:.1f}",
    "phases": _phases,
    "dropout": lambda run, _: f"{json.loads(run['backbone'])['dropout']:g}",
    "extra_params": _extra_parameters,
}
