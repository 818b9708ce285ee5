"""`osr watch`: how far a sweep is, again and again, from wherever its store can be reached."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.commands.going_on import advice, by_kind
from sweeps.commands.listing import say
from sweeps.commands.options import DEFAULT_HOME, HomeOption, with_store
from sweeps.commands.store import open_store, sweep_record

if TYPE_CHECKING:
    from sweeps.launch.look import Line
    from sweeps.planning.filters import Meant
    from sweeps.store.store import Store
    from sweeps.store.witness import Life, Witness

FAILURES = 3  # the last ones are shown


def watch(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, help="How often to look.")
    ] = 2.0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show how far a sweep is, until nobody runs it; Ctrl-C ends the watching alone.

    If the output is not a terminal, it prints a line after each change.
    """
    from rich.console import Console
    from rich.live import Live

    from sweeps.launch.look import picture
    from sweeps.store.witness import Witness

    store, console = open_store(with_store(home)), Console()
    witness, before = Witness(store.leases), ""
    is_live = console.is_terminal and not console.is_dumb_terminal
    with Live(console=console, auto_refresh=False) as live:
        for meant, life in looks(store, sweep, witness, every):
            done, total = meant.counts["stages_done"], meant.counts["stages"]
            lines = list(lines_of(store, meant, life))
            if is_live:
                live.update(picture(sweep, done, total, lines), refresh=True)
            elif (line := in_short(done, total, lines)) != before:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
                before = line
    for line in advice(sweep, meant.states, is_run=False):
        say(line)


def looks(
    store: "Store", sweep: str, witness: "Witness", every_s: float
) -> Iterator[tuple["Meant", "Life"]]:
    """A sweep as it stands and whether it is run, the last time when it no longer is."""
    from sweeps.commands.filtered import meant_of
    from sweeps.planning.filters import Filter
    from sweeps.store.witness import Life

    while True:
        life = witness.life(sweep)
        yield meant_of(store, sweep_record(store, sweep), Filter()), life
        if life == Life.DEAD:
            return
        time.sleep(every_s)


def lines_of(store: "Store", meant: "Meant", life: "Life") -> Iterator["Line"]:
    """Who runs it, when it ends, what runs where by kind, and why the last stages failed."""
    from sweeps.launch.eta import Eta
    from sweeps.launch.look import NO_ETA, Line
    from sweeps.store.leases import process_of
    from sweeps.store.witness import Life

    _, holder = store.leases.latest(meant.record["sweep"])
    work = (holder or {}).get("work") or {}
    if holder is None or life == Life.DEAD:
        yield Line("now", "nobody runs it")
    else:
        yield Line("now", f"{work.get('running', 0)} running, {work.get('queued', 0)} queued")
        yield Line("by", process_of(holder))
        yield Line("eta", str(Eta(*work["eta_s"])) if work.get("eta_s") else NO_ETA)
    begun = [each for each, state in meant.states.items() if state == "begun"]
    told = [
        f"{meant.stages[each]['label']} {note['epochs_done']}/{note['num_epochs']} "
        f"on {note.get('host')}"
        for each, note in store.attempts.progress(begun).items()
    ]
    for row in by_kind(meant):
        kind, total = row["kind"], sum(value for key, value in row.items() if key != "kind")
        own = [label.removeprefix(f"{kind} ") for label in told if label.startswith(f"{kind} ")]
        yield Line(kind, f"{row['done']}/{total} {', '.join(own)}", is_list=True)
    failed = [each for each, state in meant.states.items() if state == "failed"]
    notes = store.attempts.failures(failed)
    for each in sorted(notes, key=lambda each: float(notes[each]["failed_at"]))[-FAILURES:]:
        yield Line("failed", f"{meant.stages[each]['label']}: {notes[each]['reason']}")


def in_short(done: int, total: int, lines: list["Line"]) -> str:
    """One line of a log."""
    failed = sum(line.word == "failed" for line in lines)
    told = {line.word: line.text for line in lines}
    why = f", failed: {told['failed']}" if failed else ""
    return f"[{done}/{total}] {told['now']}{why}"
