"""What the page shows of a sweep's searches: a figure and the best candidates of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.exports.candidates import CANDIDATES, read_searches
from analysis.exports.searches import Candidate, Search
from analysis.exports.selection import is_oracle
from analysis.figures.draw import draw
from analysis.report.picture import Picture
from osr_core.wording import percent

WALL = "wall_s"  # how long each epoch of a fit took, in history.parquet
LISTED = 10  # candidates of a search


@dataclass(frozen=True)
class ListedCandidate:
    """A row of a search's table."""

    number: int
    mean: str  # percent
    values: tuple[str, ...]  # percent, by step
    state: str
    settings: str


@dataclass(frozen=True)
class ShownSearch:
    """One search."""

    title: str
    rule: str  # with what it looked at
    by_oracle: bool
    summary: str
    steps: tuple[str, ...]  # "split 0 seed 0"
    candidates: tuple[ListedCandidate, ...]  # the best
    num_candidates: int
    picture: Picture


def shown_searches(exports: Path, sweep: str, history: pa.Table) -> Iterator[ShownSearch]:
    """The searches of an exported sweep with its history; none where it has none."""
    folder = exports / sweep
    for search in read_searches(folder) if (folder / CANDIDATES).is_file() else ():
        drawn = draw("search", exports, sweep=sweep, search=search.search_id, format="svg")
        about, words = f"Search of {search.method} on {search.dataset}", search.words()
        yield ShownSearch(
            title=about,
            rule=f"{search.select} ({search.looks_at})",
            by_oracle=is_oracle(search.looks_at),
            summary=search.summary(spared_s(search, history)),
            steps=tuple(f"split {step.split} seed {step.seed}" for step in search.steps),
            candidates=tuple(
                _listed(search, each, words[each.number]) for each in search.ranked[:LISTED]
            ),
            num_candidates=len(search.candidates),
            picture=Picture.of(f"{about}: history, importances, slices, coordinates", drawn),
        )


def spared_s(search: Search, history: pa.Table) -> float:
    """For how many seconds pruned candidates would have trained on, by what a step took on average.

    A fit that several candidates share counts once.
    """
    ids = pa.array({fit for each in search.candidates for fit in each.fits}, pa.string())
    is_wall = pc.equal(history["metric"], WALL)
    rows = history.filter(pc.and_(is_wall, pc.is_in(history["stage_id"], ids)))
    if not rows.num_rows or not search.num_saved:
        return 0.0
    return float(pc.sum(rows["value"]).as_py()) / search.num_taken * search.num_saved


def _listed(search: Search, candidate: Candidate, settings: str) -> ListedCandidate:
    values = [percent(value) for value in candidate.values.get(search.select, ())]
    return ListedCandidate(
        number=candidate.number,
        mean=search.shown_mean(candidate),
        values=tuple(values + ["-"] * (len(search.steps) - len(values))),
        state=search.outcome(candidate),
        settings=settings,
    )
