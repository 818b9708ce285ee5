"""One HTML page about exported sweeps: what was run, tables, figures, trials, cost.

The page asks for nothing from anywhere: styles, script and pictures are inside. Without JavaScript
it reads the same; with it, a click on a heading sorts a table. Links lead into MLflow's pages,
which `osr ui` serves. Equal exports give equal bytes.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.compute as pc
from markupsafe import Markup

from analysis.exports.labels import recipe_label, row_labels
from analysis.exports.read import by_id, joined, read_history, read_links, read_runs
from analysis.exports.schema import METRICS, RUNS, FinishedTrial, PlannedTrial, unfinished
from analysis.exports.selection import in_short
from analysis.figures.draw import FIGURES, draw
from analysis.papers.layouts import LAYOUTS
from analysis.report.picture import Picture
from analysis.report.searches import ShownSearch, shown_searches
from analysis.tables import paper_sheet, sheet, sweep_sheet
from analysis.tables.paper_table import FilledGrid, paper_table
from analysis.tables.sweep_table import table
from osr_core.errors import DataError

MLFLOW = "http://127.0.0.1:5000"  # where `osr ui` serves it by default
ALL_TRIALS = "viewStateShareKey=all&workflowType=machine_learning"  # see tracking/views.py
PICTURED = 12  # methods x datasets of a sweep whose scores are drawn


@dataclass(frozen=True)
class ListedTrial:
    """One trial of a group."""

    trial_id: str
    split: int
    seed: int
    metrics: Mapping[str, float]  # percent; empty while it is not finished
    link: str  # into MLflow; "" where the export does not say


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


@dataclass(frozen=True)
class Cost:
    """What training took, by method and dataset; a shared fit is counted once."""

    method: str
    dataset: str
    num_fits: int
    num_epochs: int
    wall_s: float


@dataclass(frozen=True)
class Section:
    """One sweep."""

    name: str
    runs: str  # link to its trials in MLflow, best first; "" where the export does not say
    facts: Mapping[str, str]
    table: Markup
    searches: tuple[ShownSearch, ...]
    pictures: tuple[Picture, ...]
    groups: tuple[Group, ...]
    costs: tuple[Cost, ...]


def report(exports: Path, sweeps: Sequence[str] = (), mlflow_url: str = MLFLOW) -> str:
    """The page about `sweeps`, or about all that are exported.

    Raises:
        DataError: nothing is exported, or a sweep that is named is not.
    """
    there = sorted(path.parent.name for path in exports.glob(f"*/{RUNS}"))
    wanted = list(dict.fromkeys(sweeps)) or there
    if absent := [name for name in wanted if name not in there]:
        raise DataError(f"not exported: {', '.join(absent)}. Run `osr export` for each.")
    if not wanted:
        raise DataError(f"nothing is exported in {exports}. Run a sweep first: osr run digits")
    sections = [_section(exports, name, mlflow_url) for name in wanted]
    anchors = {
        trial.trial_id: group.anchor
        for section in sections
        for group in section.groups
        for trial in group.trials
    }
    papers, absent_papers = _papers(exports, wanted, anchors)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(
        sections=sections,
        papers=papers,
        absent_papers=absent_papers,
        figures=_paper_figures(exports, wanted),
        metrics=METRICS,
        duration=duration,
    )


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as people say them: "1 h 02 min", "3 min 20 s", "12.3 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def costs(history: Any) -> tuple[Cost, ...]:
    """Training time of a history's fits, by method and dataset, longest first."""
    walls = history.filter(pc.equal(history["metric"], "wall_s"))
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in walls.select(["stage_id", "method", "dataset", "value"]).to_pylist():
        groups[row["method"], row["dataset"]].append(row)
    found = [
        Cost(
            method,
            dataset,
            len({row["stage_id"] for row in rows}),
            len(rows),
            sum(row["value"] for row in rows),
        )
        for (method, dataset), rows in groups.items()
    ]
    return tuple(sorted(found, key=lambda cost: (-cost.wall_s, cost.method, cost.dataset)))


def _section(exports: Path, name: str, mlflow_url: str) -> Section:
    folder = exports / name
    runs, plan = read_runs(folder)
    finished = by_id(runs)
    links, all_runs = {}, ""
    for link in read_links(folder).to_pylist():
        listed = f"{mlflow_url.rstrip('/')}/#/experiments/{link['experiment_id']}/runs"
        links[link["stage_id"]] = f"{listed}/{link['run_id']}"
        all_runs = f"{listed}?{ALL_TRIALS}"
    num_done = len(plan.trials) - len(unfinished(plan.trials, finished))
    in_order = [finished[t.trial_id] for t in plan.trials if t.trial_id in finished]
    groups = _groups(name, plan.trials, finished, links)
    anchors = {group.title: group.anchor for group in groups}
    spent = costs(read_history(folder))
    facts = {
        "protocol": plan.protocol,
        "recipe": recipe_label(plan),
        "selection": in_short(trial.selection for trial in plan.trials),
        "splits": str(len({trial.split for trial in plan.trials})),
        "seeds": str(len({trial.seed for trial in plan.trials})),
        "trials": f"{num_done} of {len(plan.trials)} done",
        "training": duration(sum(cost.wall_s for cost in spent)),
        "commit": joined(finished.values(), "commit") or plan.commit,
    }
    printed = sweep_sheet.to_sheet(table(folder))
    printed = _linked(printed, [_rows_to_trials(panel, anchors) for panel in printed.panels])
    return Section(
        name,
        all_runs,
        facts,
        Markup(sheet.panels_to_html(printed)),
        tuple(shown_searches(exports, name)),
        (*_histograms(exports, name, in_order, row_labels(plan.trials)), *_made(exports, name)),
        groups,
        spent,
    )


def _groups(
    sweep: str,
    planned: Sequence[PlannedTrial],
    finished: Mapping[str, FinishedTrial],
    links: Mapping[str, str],
) -> tuple[Group, ...]:
    labels = row_labels(planned)
    by_title: dict[str, list[ListedTrial]] = defaultdict(list)
    for trial in planned:
        measured = finished.get(trial.trial_id, {})
        metrics = {metric: 100 * measured[metric] for metric in METRICS if metric in measured}
        listed = ListedTrial(
            trial.trial_id, trial.split, trial.seed, metrics, links.get(trial.trial_id, "")
        )
        by_title[f"{labels[trial.trial_id]} on {trial.dataset}"].append(listed)
    return tuple(
        Group(f"trials-{sweep}-{number}", title, tuple(trials))
        for number, (title, trials) in enumerate(by_title.items())
    )


def _linked(printed: sheet.Sheet, links: Sequence[Sequence[Sequence[str]]]) -> sheet.Sheet:
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


def _rows_to_trials(panel: sheet.Panel, anchors: Mapping[str, str]) -> list[list[str]]:
    """From our numbers in a panel of a sweep to the trials of their row."""
    return [
        ["", *("" if "(" in heading else f"#{anchor}" for heading in panel.headings[1:])]
        for anchor in (anchors[f"{row[0].text} on {panel.name}"] for row in panel.rows)
    ]


def _lines_to_trials(grid: FilledGrid, anchors: Mapping[str, str]) -> list[list[str]]:
    """From our numbers in a grid of a paper to the trials of a row in the sweep's own table."""
    return [
        [
            *("" for _ in (line.label, *line.features)),
            *(f"#{anchors[one.trial_ids[0]]}" if one.trial_ids else "" for one in line.filled),
        ]
        for line in grid.lines
    ]


def _papers(
    exports: Path, sweeps: Iterable[str], anchors: Mapping[str, str]
) -> tuple[list[Markup], list[tuple[str, str]]]:
    """The papers' tables of which we have something, and the commands that make the others."""
    there, absent = [], []
    for name, make_layout in LAYOUTS.items():
        layout = make_layout()
        if layout.sweep not in sweeps:
            absent.append((layout.title, f"osr run {layout.spec}"))
            continue
        made = paper_table(name, exports)
        links = [_lines_to_trials(grid, anchors) for grid in made.grids]
        there.append(Markup(sheet.to_html(_linked(paper_sheet.to_sheet(made), links))))
    return there, absent


def _histograms(
    exports: Path, name: str, finished: Iterable[FinishedTrial], labels: Mapping[str, str]
) -> Iterable[Picture]:
    """Scores of the first trial of each method and dataset, where the export has them."""
    first: dict[tuple[str, str], str] = {}
    for trial in finished:
        first.setdefault((trial["dataset"], trial["title"]), trial["trial_id"])
    for (dataset, _), trial_id in list(first.items())[:PICTURED]:
        try:
            drawn = draw("histogram", exports, sweep=name, trial=trial_id, format="svg")
        except DataError:
            continue
        yield Picture.of(f"Scores of {labels[trial_id]} on {dataset}, one trial", drawn)


def _made(exports: Path, name: str) -> Iterable[Picture]:
    """Images that stages have made, where the export has them."""
    try:
        drawn = draw("generated", exports, sweep=name, format="svg")
    except DataError:
        return
    yield Picture.of("Images made of training images", drawn)


def _paper_figures(exports: Path, sweeps: Iterable[str]) -> list[Picture]:
    """Those of the papers' figures for which the exports have everything."""
    pictures = []
    for name, drawing in FIGURES.items():
        if drawing.sweep in sweeps and name != "cac5":
            try:
                drawn = draw(name, exports, format="svg")
            except DataError:  # a sweep in progress, or one whose stages left no artifacts
                continue
            paper = name.rstrip("0123456789ab")
            pictures.append(
                Picture.of(f"{paper.upper()}, Figure {name.removeprefix(paper)}", drawn)
            )
    return pictures
