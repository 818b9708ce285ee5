"""`osr logs`: what the stages of a sweep tell."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from osr_core.errors import ConfigError
from sweeps.commands.filtered import StageArgument, filtered, meant_of
from sweeps.commands.options import DEFAULT_HOME, HomeOption, JobsOption, with_store
from sweeps.commands.store import open_store, sweep_record
from sweeps.planning.filters import Filter, Meant

if TYPE_CHECKING:
    from sweeps.store.store import Store

LOOK_EVERY_S = 1.0


@filtered
def logs(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    given: Filter,
    stage: StageArgument = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep printing new lines until the sweep ends or stops."),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    address: JobsOption = None,
) -> None:
    """Print the logs of stages: attempts, epochs, warnings and errors."""
    if address is not None:
        follow_job(address, sweep, stage or str(given), follow)
        return
    store = open_store(with_store(home))
    meant = meant_of(store, sweep_record(store, sweep), given, stage)
    shown = Shown(store, meant)
    shown.tell()
    if follow:
        shown.follow()
    if not shown.told:
        raise ConfigError(
            f"{what_has_none(meant)} has no log. It has not begun, or was made by a version that "
            "kept none."
        )


def follow_job(address: str, sweep: str, asked: str, follow: bool) -> None:
    """Print what the driver of a sweep's job prints."""
    from sweeps.clusters.jobs import Jobs

    if asked:
        raise ConfigError(
            f"a job has one log, its driver's; '{asked}' is asked of the store. Leave one of "
            "--address and that out."
        )
    for part in Jobs(address).log(sweep, follow=follow):
        typer.echo(part, nl=False)
        sys.stdout.flush()


class Shown:
    """The logs of stages, as far as they are printed."""

    def __init__(self, store: "Store", meant: Meant) -> None:
        self.store, self.meant = store, meant
        self.told: dict[str, str] = {}  # by stage id
        self.sizes: dict[str, int] = {}
        self.latest: str | None = None  # the stage of which the last line tells

    def tell(self) -> None:
        """Print what is new, with a heading where another stage tells."""
        sizes = self.store.attempts.log_sizes(self.meant.stages)
        changed = [each for each in self.meant.stages if sizes.get(each) != self.sizes.get(each)]
        self.sizes = sizes
        for stage_id in changed:
            text = self.store.attempts.log(stage_id) or ""
            new = text[len(continued(self.told.get(stage_id, ""), text)) :]
            self.told[stage_id] = text
            if new and self.meant.stage_id is None and self.latest != stage_id:
                label = self.meant.stages[stage_id]["label"]
                typer.echo(f"{'' if self.latest is None else chr(10)}==> {label} <==")
            self.latest = stage_id if new else self.latest
            typer.echo(new, nl=False)
        sys.stdout.flush()

    def follow(self) -> None:
        """Print what is told from now on, until all has ended or nobody runs the sweep."""
        from sweeps.store.states import State, states
        from sweeps.store.witness import Life, Witness

        sweep, witness = self.meant.record["sweep"], Witness(self.store.leases)
        goes_on = True
        while goes_on:
            known = states(self.store, sweep, self.meant.stages)
            is_open = any(state in (State.BEGUN, State.WAITING) for state in known.values())
            goes_on = is_open and witness.life(sweep) != Life.DEAD
            if goes_on:
                time.sleep(LOOK_EVERY_S)
            self.tell()


def continued(before: str, text: str) -> str:
    """What of a log is printed already: all of it before, unless its beginning was cut off."""
    return before if text.startswith(before) else ""


def what_has_none(meant: Meant) -> str:
    """What was asked for, for people."""
    sweep = meant.record["sweep"]
    if meant.stage_id is not None:
        return f"{meant.all_stages[meant.stage_id]['label']} of sweep '{sweep}'"
    return f"what fits {meant.given}" if meant.given else f"sweep '{sweep}'"
