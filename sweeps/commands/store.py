"""The commands that look after the store: `osr status`, `log`, `stop`, `sync` and `gc`."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JsonOption, with_store
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
    store = open_store(with_store(home))
    sweeps: Rows = []
    drivers: list[str] = []
    begun: Rows = []
    failures: Rows = []
    searches: list[str] = []
    for name in [sweep] if sweep else store.sweeps():
        record = sweep_record(store, name)
        labels = {stage["stage_id"]: stage["label"] for stage in record["stages"]}
        done = store.committed(labels)
        trials = [trial["trial_id"] for trial in record["trials"]]
        row = {"sweep": name, "trials_done": len(done.intersection(trials)), "trials": len(trials)}
        row |= {"stages_done": len(done), "stages": len(labels)}
        open_ids = [stage_id for stage_id in labels if stage_id not in done]
        progress = store.attempts.progress(open_ids)
        begun += labelled(name, labels, progress, "epochs_done", "num_epochs")
        failures_now = store.attempts.failures(open_ids)
        failed = labelled(name, labels, failures_now, "reason", "traceback", "failed_at")
        failures += failed
        sweeps.append({**row, "failed": len(failed)})
        searches += search_lines(record, store)
        if driver := driver_of(store, name):
            drivers.append(driver)
    if as_json:
        facts = {"sweeps": sweeps, "drivers": drivers, "begun": begun, "failures": failures}
        facts["searches"] = searches
        typer.echo(json.dumps(facts, indent=2))
        return
    if not sweeps:
        typer.echo(f"no sweep has been run in {home}. Run one first: osr run digits")
        return
    show(sweeps, False)
    for line in (*drivers, *searches):
        typer.echo(line)
    show_stages("begun fits", begun, "epochs_done", "num_epochs")
    show_stages("failed stages", failures, "reason")
    for row in failures if sweep else ():
        typer.echo(f"\n{row['stage']}\n{row['traceback']}")


def search_lines(record: Mapping[str, Any], store: "Store") -> list[str]:
    """A line for each search of a sweep, as it stands now."""
    if not record.get("searches"):
        return []
    from analysis.exports.searches import searches_in
    from sweeps.search.standing import standing

    return [search.line for search in searches_in(standing(record, store))]


def labelled(sweep: str, labels: Mapping[str, str], notes: Mapping[str, Any], *keys: str) -> Rows:
    """A row for each stage that the store has a note of, with these facts of the note."""
    return [
        {"sweep": sweep, "stage_id": each, "stage": labels[each]} | {key: note[key] for key in keys}
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


def log(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    stage: Annotated[
        str, typer.Argument(help="How its id begins, as `osr status SWEEP` shows it, or its name.")
    ],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what a stage has told: its attempts with their epochs, warnings and errors."""
    store = open_store(with_store(home))
    found = stage_of_record(sweep_record(store, sweep), stage)
    text = store.attempts.log(found["stage_id"])
    if text is None:
        raise ConfigError(
            f"{found['label']} of sweep '{sweep}' has no log. It has not begun, or was made by a "
            "version that kept none."
        )
    typer.echo(text, nl=False)


def stop(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    stage: Annotated[
        str | None,
        typer.Option(help="How the id of a stage begins, as `osr status SWEEP` shows it."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Stop a sweep that runs, as Ctrl-C there would, or only one stage and what needs it."""
    from sweeps.store.leases import Fence, lives

    store = open_store(with_store(home))
    record = sweep_record(store, sweep)
    number, holder = store.leases.latest(sweep)
    if holder is None or not lives(store.leases, sweep, number, holder):
        raise ConfigError(f"nobody runs sweep '{sweep}', so there is nothing to stop.")
    fence = Fence(sweep, number)
    if stage is None:
        store.orders.stop(fence)
        typer.echo(f"sweep {sweep} stops: running epochs end and are saved")
        return
    found = stage_of_record(record, stage)
    if store.committed([found["stage_id"]]):
        raise ConfigError(f"{found['label']} of sweep '{sweep}' is done; nothing is left to stop.")
    store.orders.stop_stage(fence, found["stage_id"])
    typer.echo(f"{found['label']} stops, and with it what needs it; the sweep goes on")


def stage_of_record(record: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """What a plan's record says of the stage whose id begins with `stage`, or which is called so.

    Raises:
        ConfigError: there is none, or more than one.
    """
    stages = record["stages"]
    found = [each for each in stages if each["stage_id"].startswith(stage)]
    found = [each for each in stages if each["label"] == stage] or found
    if len(found) == 1:
        return dict(found[0])
    sweep = record["sweep"]
    if not found:
        raise ConfigError(
            f"no stage of sweep '{sweep}' is called '{stage}' or has an id that begins so. "
            f"`osr status {sweep}` shows the ids of those that are begun or failed."
        )
    shown = ", ".join(f"{each['stage_id'][:12]} ({each['label']})" for each in found[:3])
    raise ConfigError(
        f"{len(found)} stages of sweep '{sweep}' have an id that begins with "
        f"'{stage}', such as {shown}. Give more of it."
    )


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

    user_home = with_store(home)
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

    store = open_store(with_store(home))
    latest = check_idle(store)
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
                dead = latest.get(name)
                leases.enter_context(Lease(store.leases, name, take_over=False, dead=dead))
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
