"""`osr queue`: who runs what at this moment, and what of their cluster each has."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JsonOption, with_store
from sweeps.commands.store import open_store

if TYPE_CHECKING:
    from sweeps.store.leases import Holder

Row = dict[str, Any]
FACTS = ("running", "queued", "left", "part", "share", "most", "eta_s")  # of what a lease says
OWN = "its own machine"


def queue(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the sweeps that run now: whose they are and why, what each has, waits for and wants."""
    from sweeps.store.witness import Life, Witness

    store = open_store(with_store(home))
    lives = Witness(store.leases).lives(store.leases.sweeps())
    living = [sweep for sweep, life in lives.items() if life == Life.LIVES]
    holders = {sweep: store.leases.latest(sweep)[1] for sweep in living}
    rows = [row(sweep, holder) for sweep, holder in holders.items() if holder]
    rows.sort(key=lambda each: (each["cluster"], -each["priority"], each["sweep"]))
    if as_json:
        show(rows, True)
        return
    if not rows:
        typer.echo("no sweep is being run")
    for cluster in dict.fromkeys(each["cluster"] for each in rows):
        of_cluster = [each for each in rows if each["cluster"] == cluster]
        show([short(each) for each in of_cluster], False, title=f"on {cluster}")
        for each in of_cluster:
            if said := "; ".join(in_full(each)):
                typer.echo(f"{each['sweep']}: {said}")


def row(sweep: str, holder: "Holder") -> Row:
    """All that a driver says of itself."""
    work = holder.get("work") or {}
    return {
        "sweep": sweep,
        "by": holder.get("by") or f"process {holder['pid']} on {holder['host']}",
        "reason": holder.get("reason"),
        "priority": holder.get("priority") or 0,
        "cluster": work.get("cluster") or f"{OWN}, {holder['host']}",
        "since": holder["since"],
        "state": state_of(work),
        **{key: work.get(key) for key in FACTS},
    }


def state_of(work: Row) -> str:
    """What a sweep does, in a word."""
    if not work:
        return "starting"
    if work["paused"]:
        return "paused"
    return "running" if work["running"] else "waiting"


def in_full(each: Row) -> Iterator[str]:
    """What of a row takes a line of its own: when the sweep ends, and why it runs."""
    from sweeps.launch.eta import Eta

    if each["eta_s"]:
        yield f"ends in {Eta(*each['eta_s'])}"
    if each["reason"]:
        yield each["reason"]


def short(each: Row) -> Row:
    """What of a row 80 columns show."""
    return {
        "sweep": each["sweep"],
        "by": each["by"],
        "prio": each["priority"],
        "state": each["state"],
        "runs": each["running"],
        "queued": each["queued"],
        "left": each["left"],
        "has": f"{100 * (each['part'] or 0):.0f} %",
    }
