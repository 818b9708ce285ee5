"""The commands that look after the store: `osr sync`, `osr merge`, `osr gc`; how others open it."""

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.options import DEFAULT_HOME, NO_RESULTS, HomeOption, with_store
from sweeps.commands.results import draw_pictures
from sweeps.home import Home

if TYPE_CHECKING:
    from sweeps.store.store import Store


def open_store(user_home: Home) -> "Store":
    """The store of a home in which something was run."""
    from sweeps.store.store import Store

    store = Store.existing(user_home.store)
    if store is None:
        raise ConfigError(f"there is no store at {user_home.store}. {NO_RESULTS}")
    return store


def sweep_record(store: "Store", sweep: str) -> dict[str, Any]:
    """What the store keeps of a sweep's plan; ConfigError says which sweeps there are."""
    record = store.sweep(sweep) if sweep in store.sweeps() else None
    if record is None:
        raise ConfigError(unknown_name("sweep", sweep, store.sweeps()))
    return record


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


def merge(
    other: Annotated[
        str, typer.Argument(metavar="STORE", help="A folder of osr_core.batch, or another store.")
    ],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Take results that were made elsewhere; what is there already stays as it is."""
    from sweeps.launch import merge as merging
    from sweeps.store.store import Store

    source = Store.existing(other)
    if source is None:
        raise ConfigError(f"there is no store at {other}.")
    merged = merging.merge(source, Store(with_store(home).store))
    kinds = Counter(merged.taken.values())
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    typer.echo(f"taken: {len(merged.taken)} results{f' ({named})' if named else ''}")
    typer.echo(f"there already, and left as they were: {len(merged.there)}")
    if merged.from_others:
        typer.echo(
            "of these, made from results that differ from those here in their last bits, as "
            f"another processor's do: {len(merged.from_others)}"
        )
    if merged.unfinished:
        typer.echo(f"begun and not done, so not taken: {len(merged.unfinished)}")
    for stage_id, why in merged.refused.items():
        typer.echo(f"refused {stage_id}: {why}", err=True)
    if merged.refused:
        raise typer.Exit(1)


def gc(
    keep: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SWEEP]...",
            help="Keep only what these sweeps need; default: what any sweep needs.",
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete what no sweep needs; with SWEEP, all that these sweeps do not need. Lists it first."""
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
