"""One HTML page about exported sweeps: who leads, by how much, at what cost, and all behind it.

The page asks for nothing from anywhere: styles, script and pictures are inside. Without JavaScript
it reads the same; with it, a click on a heading sorts a table and a word filters rows. Links lead
into MLflow's pages, which `osr ui` serves. Equal exports give equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from analysis.exports.schema import METRICS, RUNS
from analysis.figures.draw import FIGURES, draw
from analysis.papers.layouts import LAYOUTS
from analysis.report.leaderboard import interval
from analysis.report.methods import method_anchor, shown_methods
from analysis.report.picture import Picture
from analysis.report.section import Section, linked, section
from analysis.report.surroundings import Surroundings
from analysis.tables import paper_sheet, sheet
from analysis.tables.paper_table import FilledGrid, paper_table
from osr_core.errors import DataError
from osr_core.wording import duration


def report(exports: Path, sweeps: Sequence[str] = (), around: Surroundings | None = None) -> str:
    """The page about `sweeps`, or about all that are exported.

    Raises:
        DataError: nothing is exported, or a sweep that is named is not.
    """
    around = around or Surroundings()
    there = sorted(path.parent.name for path in exports.glob(f"*/{RUNS}"))
    wanted = list(dict.fromkeys(sweeps)) or there
    if absent := [name for name in wanted if name not in there]:
        raise DataError(f"not exported: {', '.join(absent)}. Run `osr export` for each.")
    if not wanted:
        raise DataError(
            f"nothing is exported in {exports}. Run a sweep first: "
            "osr run digits. Or name the folder of your results: --home FOLDER, or OSR_HOME."
        )
    sections = [section(exports, name, around) for name in wanted]
    papers, absent_papers = _papers(exports, sections)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            sections=sections,
            methods=shown_methods([each.plan for each in sections], around.notes_of),
            papers=papers,
            absent_papers=absent_papers,
            figures=_paper_figures(exports, wanted),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(
        metrics=METRICS,
        duration=duration,
        method_anchor=method_anchor,
        interval=interval,
    )
    return environment


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
    exports: Path, sections: Sequence[Section]
) -> tuple[list[Markup], list[tuple[str, str]]]:
    """The papers' tables of which we have something, and the commands that make the others."""
    anchors = {trial: anchor for each in sections for trial, anchor in each.anchors.items()}
    sweeps = [each.name for each in sections]
    there, absent = [], []
    for name, make_layout in LAYOUTS.items():
        layout = make_layout()
        if layout.sweep not in sweeps:
            absent.append((layout.title, f"osr run {layout.spec}"))
            continue
        made = paper_table(name, exports)
        links = [_lines_to_trials(grid, anchors) for grid in made.grids]
        there.append(Markup(sheet.to_html(linked(paper_sheet.to_sheet(made), links))))
    return there, absent


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
