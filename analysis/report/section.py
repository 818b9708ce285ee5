"""What the page shows of one sweep."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from analysis.exports.labels import recipe_label, row_labels
from analysis.exports.read import by_id, joined, read_history, read_runs
from analysis.exports.schema import FinishedTrial, Plan, unfinished
from analysis.exports.selection import in_short
from analysis.figures.draw import draw
from analysis.report.cost import (
    Cost,
    costs,
    devices,
    in_a_sentence,
    wall_seconds,
)
from analysis.report.missing import MissingCell, filled_by, missing_cells
from analysis.report.picture import Picture
from analysis.report.searches import ShownSearch, shown_searches
from analysis.report.shown_boards import ShownBoard, shown_boards
from analysis.report.surroundings import Surroundings
from analysis.report.training import Training, trainings
from analysis.report.trials import Group, grouped, links_into
from analysis.tables import sheet, sweep_sheet
from analysis.tables.sweep_table import table
from osr_core.errors import DataError
from osr_core.wording import duration


@dataclass(frozen=True)
class Section:
    """One sweep."""

    name: str
    plan: Plan
    runs: str  # link to its trials in MLflow, best first; "" where the export does not say
    facts: Mapping[str, str]
    cost: str  # in a sentence
    device: str  # what fits ran on: GPU, CPU, both or ""
    boards: tuple[ShownBoard, ...]
    table: Markup
    missing: tuple[MissingCell, ...]
    filled_by: str  # the command that fills them
    searches: tuple[ShownSearch, ...]
    made: tuple[Picture, ...]
    groups: tuple[Group, ...]
    anchors: Mapping[str, str]  # from a trial to its group
    costs: tuple[Cost, ...]
    trainings: Mapping[tuple[str, str], Training]  # by method and dataset


def section(exports: Path, name: str, around: Surroundings) -> Section:
    """All of one exported sweep."""
    folder = exports / name
    runs, plan = read_runs(folder)
    planned = {trial.trial_id for trial in plan.trials}
    finished = {i: trial for i, trial in by_id(runs).items() if i in planned}
    links, all_runs = links_into(folder, around.mlflow_url)
    groups = grouped(name, plan.trials, finished, links)
    history = read_history(folder)
    spent = costs(history, around.peaks_of(history["stage_id"].unique().to_pylist()))
    anchors = {trial.trial_id: group.anchor for group in groups for trial in group.trials}
    return Section(
        name=name,
        plan=plan,
        runs=all_runs,
        facts=_facts(plan, finished, spent),
        cost=in_a_sentence(spent, finished.values()),
        device=devices(finished.values())[0],
        boards=shown_boards(folder, plan, finished, around, wall_seconds(history)),
        table=_table(folder, groups),
        missing=missing_cells(plan.trials, finished, row_labels(plan.trials)),
        filled_by=filled_by(name, around.packaged),
        searches=tuple(shown_searches(exports, name, history)),
        made=tuple(_made(exports, name)),
        groups=groups,
        anchors=anchors,
        costs=spent,
        trainings=trainings(history),
    )


def _facts(
    plan: Plan, finished: Mapping[str, FinishedTrial], spent: Iterable[Cost]
) -> dict[str, str]:
    num_done = len(plan.trials) - len(unfinished(plan.trials, finished))
    return {
        "protocol": plan.protocol,
        "recipe": recipe_label(plan),
        "selection": in_short(trial.selection for trial in plan.trials),
        "splits": str(len({trial.split for trial in plan.trials})),
        "seeds": str(len({trial.seed for trial in plan.trials})),
        "trials": f"{num_done} of {len(plan.trials)} done",
        "training": duration(sum(cost.wall_s for cost in spent)),
        "commit": joined(finished.values(), "commit") or plan.commit,
    }


def _table(folder: Path, groups: Iterable[Group]) -> Markup:
    """The sweep's table as `osr table` prints it; our numbers lead to their trials."""
    anchors = {group.title: group.anchor for group in groups}
    printed = sweep_sheet.to_sheet(table(folder))
    links = [_rows_to_trials(panel, anchors) for panel in printed.panels]
    return Markup(sheet.panels_to_html(linked(printed, links)))


def _rows_to_trials(panel: sheet.Panel, anchors: Mapping[str, str]) -> list[list[str]]:
    """From our numbers in a panel of a sweep to the trials of their row."""
    return [
        ["", *("" if "(" in heading else f"#{anchor}" for heading in panel.headings[1:])]
        for anchor in (anchors[f"{row[0].text} on {panel.name}"] for row in panel.rows)
    ]


def linked(printed: sheet.Sheet, links: Sequence[Sequence[Sequence[str]]]) -> sheet.Sheet:
    """The sheet with a link for each cell by panel and row; "" for none."""
    panels = []
    for panel, of_panel in zip(printed.panels, links, strict=True):
        rows = [
            tuple(
                dataclasses.replace(cell, href=link) for cell, link in zip(row, of_row, strict=True)
            )
            for row, of_row in zip(panel.rows, of_panel, strict=True)
        ]
        panels.append(dataclasses.replace(panel, rows=tuple(rows)))
    return dataclasses.replace(printed, panels=tuple(panels))


def _made(exports: Path, name: str) -> Iterable[Picture]:
    """Images that stages have made, where the export has them."""
    try:
        drawn = draw("generated", exports, sweep=name, format="svg")
    except DataError:
        return
    yield Picture.of("Images made of training images", drawn)
