"""`osr status`: how far sweeps are, and who runs them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError
from sweeps.commands.filtered import filtered, meant_of
from sweeps.commands.going_on import advice, by_kind
from sweeps.commands.listing import say, show
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JobsOption, JsonOption, with_store
from sweeps.commands.store import open_store, sweep_record
from sweeps.commands.study import with_savings
from sweeps.home import Home
from sweeps.planning.filters import Filter, Meant
from sweeps.store.files import StoreError

if TYPE_CHECKING:
    from sweeps.store.leases import Fence
    from sweeps.store.store import Store
    from sweeps.store.witness import Life

Rows = list[dict[str, Any]]


@filtered
def status(
    given: Filter,
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; all, if left out.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    address: JobsOption = None,
) -> None:
    """Show how much of each sweep is done, who runs it, what has begun, and what failed and why."""
    if given and sweep is None:
        raise ConfigError(f"{given} needs a sweep: osr status SWEEP {given}")
    if address is not None:
        show_jobs(address, sweep, given, as_json)
        return
    from sweeps.store.witness import Life, Witness  # which looks for seconds at other machines

    user_home = with_store(home)
    store = open_store(user_home)
    facts: dict[str, Rows] = {name: [] for name in ("sweeps", "begun", "failures", "cancelled")}
    lines: dict[str, list[str]] = {"drivers": [], "searches": []}
    names = [sweep] if sweep else store.sweeps()
    for name in names:
        record = sweep_record(store, name)
        meant = meant_of(store, record, given)
        for key, rows in facts_of(store, meant).items():
            facts[key] += rows
        lines["searches"] += search_lines(record, store)
    lives = Witness(store.leases).lives(names)
    lines["drivers"] += driver_lines(store, user_home, lives)
    if sweep:
        lines["go_on"] = advice(sweep, meant.states, lives[sweep] == Life.LIVES)
        facts["kinds"] = by_kind(meant)
    if as_json:
        typer.echo(json.dumps(facts | lines, indent=2))
        return
    if not facts["sweeps"]:
        typer.echo(f"no sweep has been run in {home}. Run one first: osr run digits")
        return
    tell(facts, lines)
    if set(given.state) & {"done", "waiting"}:
        show_stages("stages", listed(meant), "state")
    if sweep:
        tell_more(facts["failures"], lines["go_on"])


def tell(facts: Mapping[str, Rows], lines: Mapping[str, list[str]]) -> None:
    """How far sweeps are, who runs them, and which stages are not as they should be."""
    show(facts["sweeps"], False)
    if "kinds" in facts:
        show(facts["kinds"], False)
    for line in (*lines["drivers"], *lines["searches"]):
        say(line)
    begun = [
        {**row, "epochs": f"{row['epochs_done']}/{row['num_epochs']}"} for row in facts["begun"]
    ]
    show_stages("begun fits", begun, "epochs", "host")
    show_stages("cancelled stages", facts["cancelled"])
    show_stages("failed stages", facts["failures"], "reason")


def tell_more(failures: Rows, go_on: Sequence[str]) -> None:
    """Of one sweep: how its stages failed, and the commands that go on."""
    for row in failures:
        typer.echo(f"\n{row['stage']}\n{row['traceback']}")
    typer.echo()
    for line in go_on:
        say(line)


def facts_of(store: "Store", meant: Meant) -> dict[str, Rows]:
    """What is said of the part of a sweep that is meant."""
    sweep, counts = meant.record["sweep"], meant.counts
    ids = {
        state: [each for each in meant.stages if meant.states[each] == state]
        for state in ("begun", "failed", "cancelled")
    }
    row = {"sweep": sweep, **counts, **{key: len(ids[key]) for key in ("failed", "cancelled")}}
    progress = store.attempts.progress(ids["begun"])
    failures = store.attempts.failures(ids["failed"])
    return {
        "sweeps": [row],
        "begun": labelled(meant, progress, "epochs_done", "num_epochs", "host"),
        "failures": labelled(meant, failures, "reason", "traceback", "failed_at"),
        "cancelled": labelled(meant, {each: {} for each in ids["cancelled"]}),
    }


def listed(meant: Meant) -> Rows:
    """A row for each stage that is meant, with its state."""
    return labelled(meant, {each: {"state": meant.states[each]} for each in meant.stages}, "state")


def search_lines(record: Mapping[str, Any], store: "Store") -> list[str]:
    """A line for each search of a sweep, as it stands now, with what pruning saved."""
    if not record.get("searches"):
        return []
    from sweeps.search.standing import standing

    now = with_savings(standing(record, store), store)
    return [search.line(spared_s) for search, spared_s in now]


def labelled(meant: Meant, notes: Mapping[str, Any], *keys: str) -> Rows:
    """A row for each stage that the store has a note of, with these facts of the note."""
    return [
        {"sweep": meant.record["sweep"], "stage_id": each, "stage": meant.stages[each]["label"]}
        | {key: note.get(key) for key in keys}
        for each, note in notes.items()
    ]


def show_stages(title: str, rows: Rows, *keys: str) -> None:
    """Print these facts of each stage, if there is one, with the beginning of its id."""
    shown = [
        {"sweep": row["sweep"], "id": row["stage_id"][:8], "stage": row["stage"]}
        | {key: row[key] for key in keys}
        for row in rows
    ]
    if shown:
        show(shown, False, title=title)


def driver_lines(store: "Store", home: Home, lives: Mapping[str, "Life"]) -> list[str]:
    """Who runs or ran these sweeps, for people; what a dead driver has left is told to MLflow."""
    from sweeps.launch.eta import Eta
    from sweeps.store.leases import Fence, held
    from sweeps.store.witness import Life

    lines = []
    for sweep, life in lives.items():
        number, holder = store.leases.latest(sweep)
        if holder is not None and life == Life.LIVES:
            lines.append(held(sweep, holder))
            if eta := (holder.get("work") or {}).get("eta_s"):
                lines.append(f"sweep '{sweep}' ends in about {Eta(*eta)}")
        elif holder is not None and (holder.get("died") or not holder["released"]):
            lines += died_lines(store, home, Fence(sweep, number), holder)
        given = store.orders.read(Fence(sweep, number))
        for method in sorted(given.held):
            why = store.orders.why_held(Fence(sweep, number), method)
            lines.append(f"sweep '{sweep}' begins no more of {method}: {why}")
        if given.paused:
            lines.append(f"sweep '{sweep}' is paused, until `osr resume {sweep}`")
    return lines


def died_lines(
    store: "Store", home: Home, fence: "Fence", holder: Mapping[str, Any]
) -> Iterator[str]:
    """That a driver died; the first who notices tells MLflow, which shows the sweep as running."""
    from sweeps.store.leases import process_of

    why = f"its driver has died ({process_of(holder)})"
    yield f"sweep '{fence.sweep}' is not being run: {why}. Run it again to go on."
    if holder["released"]:
        return
    from sweeps.tracking.died import tell_died  # MLflow takes seconds to import
    from sweeps.tracking.errors import TrackingError

    try:
        tell_died(home, store, fence, why)
        store.leases.bury(fence.sweep, fence.number, holder)
    except (TrackingError, StoreError) as error:
        yield f"MLflow may still show sweep '{fence.sweep}' as running: {error}"


def show_jobs(address: str, sweep: str | None, given: Filter, as_json: bool) -> None:
    """Print the jobs that `osr submit` made on a cluster, the latest first."""
    from sweeps.clusters.jobs import Jobs

    if given:
        raise ConfigError(f"{given} is asked of the store; leave --address out.")
    rows = Jobs(address).listed(sweep)
    if not rows and not as_json:
        typer.echo(f"no job of osr submit is known at {address}")
        return
    show(rows, as_json)
