"""The commands that steer a sweep from elsewhere: `osr stop`, `cancel`, `retry`, `pause`, `resume`.

All but `stop --address` speak through the store: whoever reaches it can do it.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from osr_core.errors import ConfigError
from sweeps.commands.filtered import StageArgument, filtered, meant_of
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JobsOption, with_store
from sweeps.commands.store import open_store, sweep_record
from sweeps.planning.filters import Filter, Meant

if TYPE_CHECKING:
    from sweeps.store.leases import Fence
    from sweeps.store.store import Store

SweepArgument = Annotated[str, typer.Argument(help="A sweep's name.")]


def stop(sweep: SweepArgument, home: HomeOption = DEFAULT_HOME, address: JobsOption = None) -> None:
    """End a sweep that runs, as Ctrl-C there would; the next `osr run` goes on with all of it."""
    if address is not None:
        from sweeps.clusters.jobs import Jobs

        job = Jobs(address).stop(sweep)
        typer.echo(f"job {job} stops: running epochs end and are saved")
        return
    store = open_store(with_store(home))
    sweep_record(store, sweep)
    if (fence := driver(store, sweep)) is None:
        raise ConfigError(f"nobody runs sweep '{sweep}', so there is nothing to stop.")
    store.orders.stop(fence)
    typer.echo(f"sweep {sweep} stops: running epochs end and are saved")


@filtered
def cancel(
    sweep: SweepArgument,
    given: Filter,
    stage: StageArgument = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Give up a part of a sweep, also in later launches, until `osr retry`; the rest goes on."""
    store = open_store(with_store(home))
    meant = meant_of(store, sweep_record(store, sweep), given, stage)
    ids, shared, num_trials = meant.to_cancel
    if not ids and not shared:
        raise nothing_to("cancel", meant)
    store.orders.cancel(sweep, sorted(ids))
    trials = f"{num_trials} trial{'s' * (num_trials != 1)}"
    typer.echo(f"cancelled {counted(meant, ids)} of sweep {sweep}; {trials} will have no result")
    if shared:
        typer.echo(f"goes on, since trials beside these need it: {counted(meant, shared)}")
    if driver(store, sweep) is None:
        typer.echo("nobody runs the sweep now; the next `osr run` leaves this out")
    typer.echo(f"To take it back: {typed('retry', meant)}")


@filtered
def retry(
    sweep: SweepArgument,
    given: Filter,
    stage: StageArgument = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Try failed or cancelled stages again: now if the sweep runs, else with the next `osr run`."""
    store = open_store(with_store(home))
    meant = meant_of(store, sweep_record(store, sweep), given, stage)
    ids, fence = meant.to_retry, driver(store, sweep)
    methods = {each["method"] for each in meant.stages.values()}
    held = methods & store.orders.read(fence).held if fence is not None else set()
    if not ids and not held:
        raise nothing_to("retry", meant)
    store.attempts.forget_failures(sorted(ids))
    store.orders.allow(sweep, sorted(ids))
    if fence is None:
        typer.echo(f"{counted(meant, ids)} of sweep {sweep} will be tried by the next `osr run`")
        return
    store.orders.retry(fence, sorted(ids))
    store.orders.release(fence, sorted(held))
    if ids:
        typer.echo(
            f"{counted(meant, ids)} of sweep {sweep} will be tried again, with what needs it"
        )
    for method in sorted(held):
        typer.echo(f"stages of {method} begin again")


def pause(sweep: SweepArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Let a sweep begin nothing more, and save what runs, until `osr resume`."""
    store = open_store(with_store(home))
    sweep_record(store, sweep)
    store.orders.pause(sweep)
    is_run = driver(store, sweep) is not None
    now = "running epochs end and are saved" if is_run else "the next `osr run` waits"
    typer.echo(f"sweep {sweep} is paused: {now}, until `osr resume {sweep}`")


def resume(sweep: SweepArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Let a paused sweep go on."""
    from sweeps.store.leases import Fence

    store = open_store(with_store(home))
    sweep_record(store, sweep)
    if not store.orders.read(Fence(sweep, 0)).paused:
        raise ConfigError(f"sweep '{sweep}' is not paused, so there is nothing to resume.")
    store.orders.resume(sweep)
    is_run = driver(store, sweep) is not None
    typer.echo(f"sweep {sweep} {'goes on' if is_run else 'will go on with the next `osr run`'}")


def driver(store: "Store", sweep: str) -> "Fence | None":
    """Who runs a sweep, if somebody does; waits for the heartbeat of another machine."""
    from sweeps.store.leases import Fence, lives

    number, holder = store.leases.latest(sweep)
    is_run = holder is not None and lives(store.leases, sweep, number, holder)
    return Fence(sweep, number) if is_run else None


def counted(meant: Meant, ids: set[str]) -> str:
    """One stage by its name, several by their number."""
    names = [meant.all_stages[stage_id]["label"] for stage_id in sorted(ids)]
    return names[0] if len(names) == 1 else f"{len(names)} stages"


def typed(command: str, meant: Meant) -> str:
    """A command about the same part of the sweep."""
    what = meant.stage_id[:12] if meant.stage_id else str(meant.given)
    return f"osr {command} {meant.record['sweep']} {what}".rstrip()


def nothing_to(command: str, meant: Meant) -> ConfigError:
    """Why a command does nothing: in which states that is of which it was asked."""
    sweep, states = meant.record["sweep"], {meant.states[each] for each in meant.stages}
    about = meant.all_stages[meant.stage_id]["label"] if meant.stage_id else str(meant.given)
    return ConfigError(
        f"nothing to {command} in sweep '{sweep}': {about or 'all of it'} is "
        f"{' or '.join(sorted(states))}."
    )
