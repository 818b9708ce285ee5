"""The commands that look after the store: `osr status`, `osr sync` and `osr gc`."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JsonOption, at
from sweeps.commands.results import draw_pictures
from sweeps.home import Home

if TYPE_CHECKING:
    from sweeps.store.store import Store

Rows = list[dict[str, Any]]


def open_store(user_home: Home) -> "Store":
    """The store of a home in which something was run."""
    from sweeps.store.store import Store

    store = Store.existing(user_home.store)
    if store is None:
        raise ConfigError(
            f"there is no store at {user_home.store}. Run a sweep first: osr run digits"
        )
    return store


def sweep_record(store: "Store", sweep: str) -> dict[str, Any]:
    """What the store keeps of a sweep's plan; ConfigError says which sweeps there are."""
    record = store.sweep(sweep) if sweep in store.sweeps() else None
    if record is None:
        raise ConfigError(unknown_name("sweep", sweep, store.sweeps()))
    return record


def status(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; all, if left out.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what of each sweep is done, who runs it, what is begun, what failed and why."""
    store = open_store(at(home))
    sweeps: Rows = []
    drivers: list[str] = []
    begun: Rows = []
    failures: Rows = []
    for name in [sweep] if sweep else store.sweeps():
        record = sweep_record(store, name)
        labels = {stage["stage_id"]: stage["label"] for stage in record["stages"]}
        done = store.committed(labels)
        trials = [trial["trial_id"] for trial in record["trials"]]
        row = {"sweep": name, "trials_done": len(done.intersection(trials)), "trials": len(trials)}
        row |= {"stages_done": len(done), "stages": len(labels)}
        open_ids = [stage_id for stage_id in labels if stage_id not in done]
        begun += labelled(name, labels, store.attempts.progress(open_ids))
        failed = labelled(name, labels, store.attempts.failures(open_ids))
        failures += failed
        sweeps.append({**row, "failed": len(failed)})
        if driver := driver_of(store, name):
            drivers.append(driver)
    if as_json:
        facts = {"sweeps": sweeps, "drivers": drivers, "begun": begun, "failures": failures}
        typer.echo(json.dumps(facts, indent=2))
        return
    if not sweeps:
        typer.echo(f"no sweep has been run in {home}. Run one first: osr run digits")
        return
    show(sweeps, False)
    for driver in drivers:
        typer.echo(driver)
    if begun:
        show(begun, False, title="begun fits")
    if failures:
        reasons = [{key: row[key] for key in ("sweep", "stage", "reason")} for row in failures]
        show(reasons, False, title="failed stages")
    for row in failures if sweep else ():
        typer.echo(f"\n{row['stage']}\n{row['traceback']}")


def labelled(sweep: str, labels: Mapping[str, str], notes: Mapping[str, Any]) -> Rows:
    """A row for each stage that the store has a note of."""
    return [{"sweep": sweep, "stage": labels[each], **note} for each, note in notes.items()]


def driver_of(store: "Store", sweep: str) -> str | None:
    """Who runs a sweep, for people; None: nobody. Does not wait for another machine's heartbeat."""
    from sweeps.store.leases import held, is_of_this_machine, lives

    number, holder = store.leases.latest(sweep)
    if holder is None or holder["released"]:
        return None
    if is_of_this_machine(holder):
        return held(sweep, holder) if lives(store.leases, sweep, number, holder) else None
    return f"{held(sweep, holder)}, unless that machine has died"


def sync(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Bring MLflow up to date with the store; fills an empty server, doubles nothing."""
    from sweeps.planning.record import plan_of
    from sweeps.store.leases import Fence, Lease
    from sweeps.tracking.synchronise import synchronise

    user_home = at(home)
    store = open_store(user_home)
    record = sweep_record(store, sweep)
    plan = plan_of(record)
    with Lease(store.leases, sweep, take_over=False) as lease:
        fence = Fence(sweep, lease.number)
        count = synchronise(plan, store, user_home, record["code"], draw_pictures, fence)
    typer.echo(f"{count} of {len(plan.stages)} stages are in {user_home.tracking_uri}")
    if damaged := store.to_make_again(plan.stages):
        labels = ", ".join(plan.describe(plan.stages[each]) for each in sorted(damaged))
        typer.echo(f"damaged, to be made again by `osr run`: {labels}", err=True)
        raise typer.Exit(1)


def gc(
    keep: Annotated[
        list[str] | None, typer.Argument(metavar="[SWEEP]...", help="Sweeps to keep; default: all.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete all results but those that the named sweeps need, after showing what goes."""
    from sweeps.store.cleaning import check_idle
    from sweeps.store.layout import stage_of
    from sweeps.store.leases import Lease

    store = open_store(at(home))
    check_idle(store)
    shown = unneeded_by(store, keep)
    labels = stage_labels(store)
    for name in sorted(shown):
        label = labels.get(stage_of(name), "of no sweep's plan")
        typer.echo(f"{shown[name] / 1e6:>9.1f} MB  {name}  {label}")
    size = sum(shown.values()) / 1e6
    kept = ", ".join(keep or store.sweeps())
    typer.echo(f"{len(shown)} folders and files, {size:.1f} MB, that none of these needs: {kept}")
    if shown and (yes or typer.confirm("Delete them?")):
        with ExitStack() as leases:  # no sweep of the store begins meanwhile
            for name in store.leases.sweeps():
                leases.enter_context(Lease(store.leases, name, take_over=False))
            store.delete(shown.keys() & unneeded_by(store, keep).keys())
        typer.echo("deleted")


def stage_labels(store: "Store") -> dict[str, str]:
    """By stage id, what people call the stage and a sweep that has it."""
    return {
        stage["stage_id"]: f"{stage['label']} ({name})"
        for name in store.sweeps()
        for stage in sweep_record(store, name)["stages"]
    }


def unneeded_by(store: "Store", keep: list[str] | None) -> dict[str, int]:
    """Bytes of what the sweeps to keep, or all, do not need, by its name in the store."""
    from sweeps.store.cleaning import unneeded

    records = [sweep_record(store, name) for name in keep or store.sweeps()]
    return unneeded(store, {stage["stage_id"] for record in records for stage in record["stages"]})
