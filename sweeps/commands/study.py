"""`osr study`: what the searches of a sweep have tried."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from osr_core.errors import ConfigError
from osr_core.wording import percent
from sweeps.commands.dashboard import show_dashboard
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JsonOption, with_store
from sweeps.commands.store import open_store, sweep_record

if TYPE_CHECKING:
    from analysis.exports.searches import Candidate, Search
    from sweeps.store.store import Store

IN_LINE = 3  # values of a candidate


def study(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Show it as it is now in Optuna's dashboard instead."),
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port of the dashboard to listen on.", min=1, max=65535)
    ] = 8080,
) -> None:
    """Print what each search of a sweep has tried, best first; also while the sweep runs."""
    from sweeps.search.standing import standing

    store = open_store(with_store(home))
    record = standing(sweep_record(store, sweep), store)
    searches = with_savings(record, store)
    if not searches:
        raise ConfigError(
            f"sweep '{sweep}' searches nothing: no method of its spec has a search block."
        )
    if dashboard:
        show_dashboard(record["searches"], port)
    elif as_json:
        typer.echo(json.dumps([facts_of(*each) for each in searches], indent=2))
    else:
        for each in searches:
            print_search(*each)


def with_savings(record: Mapping[str, Any], store: "Store") -> list[tuple["Search", float]]:
    """The searches of a record as they stand, each with the seconds that pruning saved."""
    from analysis.exports.searches import searches_in
    from sweeps.search.standing import step_s

    return [
        (search, (step_s(record, facts, store) or 0.0) * search.num_saved)
        if search.num_saved
        else (search, 0.0)
        for facts, search in zip(record.get("searches", ()), searches_in(record), strict=True)
    ]


def print_search(search: "Search", spared_s: float) -> None:
    """A search for people: what it is about, how it stands, and its candidates."""
    console = Console()
    for line in (search.title, search.summary(spared_s)):
        console.print(line, markup=False, highlight=False)
    show(list(rows_of(search)), False)
    steps = " ".join(f"{step.split}/{step.seed}" for step in search.steps)
    text = f"values: percent on each split/seed: {steps}"
    if any(each.state != "complete" for each in search.candidates):
        text += "; ~: an estimate, as far behind the best as on those where it was measured"
    console.print(text, markup=False, highlight=False)


def rows_of(search: "Search") -> list[Mapping[str, Any]]:
    """A row for each candidate, best first."""
    words = search.words()
    return [
        {
            "rank": rank,
            "no.": each.number,
            "mean": search.shown_mean(each),
            "values": _in_lines([percent(value) for value in each.values.get(search.select, ())]),
            "state": search.outcome(each).replace(" at ", "\nat "),
            "settings": "\n".join([words[each.number], *_remarks(search, each)]),
        }
        for rank, each in with_ranks(search)
    ]


def with_ranks(search: "Search") -> list[tuple[int | None, "Candidate"]]:
    """The candidates, best first, and the places of the complete ones, counted from 1."""
    return [
        (place if each.state == "complete" else None, each)
        for place, each in enumerate(search.ranked, start=1)
    ]


def facts_of(search: "Search", spared_s: float) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return search.about | {
        "steps": [step._asdict() for step in search.steps],
        "asked": len(search.candidates),
        **{state: search.num(state) for state in ("complete", "running", "pruned", "failed")},
        "saved_steps": search.num_saved,
        "saved_hours": spared_s / 3600,
        "candidates": [
            {
                **vars(each),
                "rank": rank,
                "rung": search.rung(each),
                "mean": each.mean(search.select),
            }
            for rank, each in with_ranks(search)
        ],
    }


def _in_lines(values: Sequence[str]) -> str:
    """A few in each line: the settings beside them need room."""
    starts = range(0, len(values), IN_LINE)
    return "\n".join(" ".join(values[start : start + IN_LINE]) for start in starts)


def _remarks(search: "Search", candidate: "Candidate") -> list[str]:
    """Its means by rules that do not choose, and why it was pruned or has failed."""
    others = [rule for rule in search.rules if rule != search.select and candidate.values.get(rule)]
    means = [f"{rule} {percent(candidate.mean(rule), 2)}" for rule in others]
    return [*means, candidate.reason] if candidate.reason else means
