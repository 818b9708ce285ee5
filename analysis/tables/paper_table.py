"""A paper's table, ours beside what it prints: one export and one layout -> the layout filled.

Trials belong to a line if they have its method, its hyperparameters and its network. Where they
come in several variants otherwise (a grid), the plan's first one is taken and the line says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.exports.labels import recipe_label
from analysis.exports.mixture import mixture
from analysis.exports.read import by_id, joined, read_runs
from analysis.exports.schema import (
    METRICS,
    RUNS,
    FinishedTrial,
    Plan,
    PlannedTrial,
    runs_schema,
    unfinished,
)
from analysis.exports.selection import NONE, in_short
from analysis.papers.layout import Grid, Layout, Line, Place, Printed
from analysis.papers.layouts import layout_named
from analysis.tables.aggregate import average, ranks
from analysis.tables.facts import FACTS
from osr_core.identity import canonical_json


@dataclass(frozen=True)
class Filled:
    """What stands where a line meets a place: ours and the paper's, in the paper's unit."""

    ours: float | str | None = None
    std: float | None = None  # over splits
    rank: int = 0  # among ours
    trial_ids: tuple[str, ...] = ()  # finished, behind ours
    missing: tuple[PlannedTrial, ...] = ()
    printed: float | str | None = None
    printed_rank: int = 0  # among the paper's
    starred: bool = False
    note: str = ""
    altered: bool = False  # ours is made with settings, splits or seeds that are not the paper's
    selection: str = NONE  # how our settings were chosen

    @property
    def num_finished(self) -> int:
        """Trials behind ours."""
        return len(self.trial_ids)

    @property
    def num_planned(self) -> int:
        """Trials that the sweep has for it; 0 where none was asked for."""
        return len(self.trial_ids) + len(self.missing)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, where both are numbers of one experiment, all of it done."""
        if self.altered or self.missing:
            return None
        if isinstance(self.ours, float) and isinstance(self.printed, float):
            return self.ours - self.printed
        return None


@dataclass(frozen=True)
class FilledLine:
    """One row."""

    label: str
    features: tuple[str, ...]
    filled: tuple[Filled, ...]  # one per place
    remarks: tuple[str, ...] = ()  # which of several variants is shown; a protocol of its own


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
    recipe: str  # and what the spec changes of it for all methods
    selection: str  # rules that chose the hyperparameters of what is shown
    num_splits: int
    num_seeds: int
    commit: str
    altered: Mapping[str, Any]  # settings, splits, seeds that are not those of the packaged spec
    exported: bool  # False: the sweep has no export, nothing of ours is there
    grids: tuple[FilledGrid, ...]
    mixture: str  # what the sweep's trials were computed on differently; "" for nothing


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
        own = tuple(trial for trial in plan.trials if not trial.imported)
        plan = replace(plan, trials=own)  # nobody knows how others trained what is imported
    else:
        plan = Plan(layout.sweep, "-", "-", {}, {}, "-", ())
        runs = runs_schema(plan).empty_table()
    finished = by_id(runs)
    grids = tuple(FilledGrid(grid, _lines(grid, layout, plan, finished)) for grid in layout.grids)
    return PaperTable(
        layout=layout,
        protocol=plan.protocol,
        recipe=recipe_label(plan),
        selection=in_short(
            filled.selection
            for grid in grids
            for line in grid.lines
            for filled in line.filled
            if filled.num_planned
        ),
        num_splits=len({trial.split for trial in plan.trials}),
        num_seeds=len({trial.seed for trial in plan.trials}),
        commit=joined(finished.values(), "commit") or plan.commit,
        altered=plan.altered,
        exported=exported,
        grids=grids,
        mixture=mixture(finished.values()),
    )


def _lines(
    grid: Grid,
    layout: Layout,
    plan: Plan,
    finished: Mapping[str, FinishedTrial],
) -> tuple[FilledLine, ...]:
    chosen = [[_chosen(line, place, plan.trials) for line in grid.lines] for place in grid.places]
    columns = []
    for place, found in zip(grid.places, chosen, strict=True):
        trials = [group for group, _ in found]
        printed = [
            grid.printed.get((line.label, place.label), Printed(None)) for line in grid.lines
        ]
        if place.quantity in METRICS:
            measured = _measured(place.quantity, layout, trials, printed, finished)
            marked = (_is_altered(plan, group) for group in trials)
            pairs = zip(measured, marked, strict=True)
            column = [replace(one, altered=altered) for one, altered in pairs]
        else:
            column = _stated(place.quantity, trials, printed, finished)
        chosen_by = map(_selection, trials)
        columns.append(
            [replace(one, selection=by) for one, by in zip(column, chosen_by, strict=True)]
        )
    return tuple(
        FilledLine(line.label, line.features, filled, tuple(_remarks(plan, grid.places, found)))
        for line, filled, found in zip(
            grid.lines, zip(*columns, strict=True), zip(*chosen, strict=True), strict=True
        )
    )


def _remarks(
    plan: Plan, places: Sequence[Place], found: Sequence[tuple[list[PlannedTrial], str]]
) -> Iterator[str]:
    """What must be said of a line: other variants, and splits that are not the sweep's."""
    yield from dict.fromkeys(remark for _, remark in found if remark)
    measured = [
        group for place, (group, _) in zip(places, found, strict=True) if place.quantity in METRICS
    ]
    protocols = {plan.protocol_of(trial) for group in measured for trial in group}
    for protocol in sorted(protocols - {plan.protocol}):
        yield f"splits of protocol {protocol}, not of {plan.protocol}"


def _selection(trials: Sequence[PlannedTrial]) -> str:
    """How the hyperparameters of some trials were chosen, every way once."""
    return "; ".join(dict.fromkeys(trial.selection for trial in trials)) or NONE


def _is_altered(plan: Plan, trials: Sequence[PlannedTrial]) -> bool:
    """Whether some trials were made otherwise than the packaged spec has them."""
    for_all = any(not name.startswith("methods.") for name in plan.altered)
    return for_all or any(f"methods.{trial.method}" in plan.altered for trial in trials)


def _chosen(
    line: Line, place: Place, planned: Sequence[PlannedTrial]
) -> tuple[list[PlannedTrial], str]:
    """The trials where a line meets a place, of one variant, and a remark if there are others."""
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
    finished: Mapping[str, FinishedTrial],
) -> list[Filled]:
    """A column of numbers."""
    averages = [average(group, metric, finished) for group in trials]
    scaled = [None if one.mean is None else one.mean * layout.scale for one in averages]
    shown = [
        None if value is None or one.missing else round(value, layout.decimals)
        for value, one in zip(scaled, averages, strict=True)
    ]
    theirs = [one.value if isinstance(one.value, float) else None for one in printed]
    rows = zip(averages, scaled, ranks(shown, metric), printed, ranks(theirs, metric), strict=True)
    return [
        Filled(
            ours=value,
            std=None if one.std is None else one.std * layout.scale,
            rank=rank,
            trial_ids=_finished_ids(group, finished),
            missing=one.missing,
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
    finished: Mapping[str, FinishedTrial],
) -> list[Filled]:
    """A column of facts."""
    filled = []
    for group, text in zip(trials, printed, strict=True):
        ids = _finished_ids(group, finished)
        filled.append(
            Filled(
                ours=FACTS[fact](finished[ids[0]]) if ids else None,
                trial_ids=ids,
                missing=unfinished(group, finished),
                printed=text.value,
                starred=text.starred,
            )
        )
    return filled


def _finished_ids(
    group: Sequence[PlannedTrial], finished: Mapping[str, FinishedTrial]
) -> tuple[str, ...]:
    return tuple(trial.trial_id for trial in group if trial.trial_id in finished)
