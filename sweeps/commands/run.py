"""`osr run`: run a sweep, and tell how it ended."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from osr_core.errors import ConfigError
from sweeps.commands import results
from sweeps.commands.options import (
    DEFAULT_HOME,
    DataOption,
    GpuTypeOption,
    HomeOption,
    MaxSlotsOption,
    PriorityOption,
    ReasonOption,
    with_store,
)
from sweeps.commands.terminal import lasting_output

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.launch.changed import Decide
    from sweeps.launch.state import Launch
    from sweeps.planning.spec import SweepSpec
    from sweeps.running.allotment import Allotment

BUDGET_SPENT, STOPPED = 5, 130  # exit codes
SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a packaged spec.")
]

AddressOption = Annotated[
    str | None, typer.Option(help="A running Ray cluster; default: start one here.")
]
CpusOption = Annotated[
    int | None, typer.Option(min=1, help="CPU cores for all stages; default: those allotted.")
]
GpusOption = Annotated[
    int | None, typer.Option(min=0, help="GPUs for all stages; default: those that are seen.")
]
WaitOption = Annotated[
    float,
    typer.Option(
        metavar="MINUTES",
        min=0,
        help="How long to wait for a machine that has what a stage asks for.",
    ),
]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Let this spec replace another sweep of its name; no result is deleted.",
    ),
]
TakeOverOption = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take over from an `osr run` that still runs; what that one has not finished is "
        "refused.",
    ),
]
RemakeOption = Annotated[
    bool,
    typer.Option(
        "--remake",
        help="Compute results of changed source code again, and all that depends on them.",
    ),
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Use results of changed source code as they are.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress, only how it ended.")
]
CanaryOption = Annotated[
    bool, typer.Option(help="If 50 trials or more are left, run one trial of each method first.")
]


def run(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    address: AddressOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    wait: WaitOption = 60.0,
    replace: ReplaceOption = False,
    take_over: TakeOverOption = False,
    remake: RemakeOption = False,
    keep: KeepOption = False,
    canary: CanaryOption = True,
    priority: PriorityOption = 0,
    max_slots: MaxSlotsOption = None,
    reason: ReasonOption = None,
    gpu_type: GpuTypeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run every stage that is not done yet, then print the table. Run it again to go on.

    Instead of a spec it takes the file that `osr plan SPEC --output PLAN.json` has written.
    """
    from sweeps.launch.reviewed import SUFFIX, Reviewed
    from sweeps.launch.terms import terms_of
    from sweeps.planning.spec import load_spec

    reviewed = Reviewed.read(spec) if spec.endswith(SUFFIX) else None
    loaded = reviewed.spec if reviewed else load_spec(spec)
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    code = run_and_tell(
        loaded,
        with_store(home),
        data_root,
        address=address,
        allotment=allotted(address, cpus, gpus),
        replace=replace,
        take_over=take_over,
        wait_s=60 * wait,
        terms=terms_of(priority, max_slots, reason, gpu_type),
        careful=canary,
        decide=decision(remake, keep),
        check=reviewed.check if reviewed else None,
        quiet=quiet,
    )
    if code:
        raise typer.Exit(code)


def run_and_tell(
    spec: "SweepSpec", home: "Home", data_root: str | None, quiet: bool = False, **options: Any
) -> int:
    """Run a sweep by `run_sweep` with these options, say how it ended, and return the exit code."""
    from sweeps.launch.hooks import told
    from sweeps.launch.launch import run_sweep
    from sweeps.tracking.painter import Painter

    with lasting_output(), told(spec.name, home.tracking_uri) as ending:
        with Painter(results.draw_pictures) as pictures:
            console = Console(quiet=quiet)
            launch = run_sweep(spec, home, data_root, console, pictures=pictures, **options)
        tell(launch)
        ending.text, ending.exit_code = in_short(launch), exit_code(launch)
    return ending.exit_code


def allotted(address: str | None, cpus: int | None, gpus: int | None) -> "Allotment":
    """What of this machine is used.

    Raises:
        ConfigError: it is said of a cluster.
    """
    from sweeps.running.allotment import Allotment

    if address is not None and (cpus, gpus) != (None, None):
        raise ConfigError("--cpus and --gpus are of this machine; with --address, leave them out.")
    return Allotment(cpus, gpus)


def in_short(launch: "Launch") -> str:
    """How a launch has ended, behind the sweep's name."""
    done = f"{launch.num_done} of {len(launch.plan.trials)} trials done"
    if launch.budget_spent:
        return f"has spent its budget, {launch.budget_spent}: {done}"
    if launch.stopped:
        return f"was stopped: {done}"
    return f"has ended: {done}"


def exit_code(launch: "Launch") -> int:
    """How a launch tells a script that it has ended (see `app`)."""
    if launch.budget_spent:
        return BUDGET_SPENT
    if launch.stopped:
        return STOPPED
    return int(bool(launch.missing or launch.unmade or launch.unchosen))


def decision(remake: bool, keep: bool) -> "Decide":
    """What becomes of results of changed code: as the options say; without any, somebody is asked.

    Raises:
        ConfigError: both are given.
    """
    if remake and keep:
        raise ConfigError("--remake and --keep say opposite things; give one of them.")
    return (lambda told: remake) if remake or keep else ask


def ask(told: str) -> bool:
    """Ask whoever sits at the terminal whether results of changed code are computed again."""
    from sweeps.launch.changed import refuse

    if not sys.stdin.isatty():
        return refuse(told)
    typer.echo(told)
    if typer.confirm("Compute them again, with everything that depends on them?"):
        return True
    if typer.confirm("Use the old results?"):
        return False
    raise typer.Exit(2)


def tell(launch: "Launch") -> None:
    """Say how a launch ended: counts, missing trials, the table, where everything lies."""
    sweep, trials = launch.plan.spec.name, len(launch.plan.trials)
    console = Console()  # the launch's may be quiet
    console.print(
        f"sweep {sweep}: {launch.num_done} of {trials} trials done; this launch started "
        f"{len(launch.started)} of {len(launch.plan.stages)} stages"
        + (f", {launch.retried} attempts repeated" if launch.retried else ""),
        soft_wrap=True,
    )
    if launch.budget_spent:
        typer.echo(
            f"the budget is spent: {launch.budget_spent}; what is saved stays. The same command "
            "goes on for as much again."
        )
        return
    if launch.stopped:
        typer.echo("stopped; what is saved stays. Run the same command to go on.")
        return
    missing = launch.missing
    for trial, reason in missing:
        about = launch.plan.describe(trial.score).removeprefix("score ")
        console.print(f"missing {about}: {reason}", markup=False, style="red", soft_wrap=True)
    for sentence in launch.unchosen:
        console.print(sentence, markup=False, style="red", soft_wrap=True)
    for label in launch.unmade:
        told = f"the earlier result of {label} was set aside, and this launch has made no new one"
        console.print(told, style="red", soft_wrap=True)
    if launch.failures:
        typer.echo(f"What failed says more: osr logs {sweep} --failed")
        typer.echo("The same command tries it again.")
    if launch.tracking_problem:
        typer.echo(f"MLflow is not up to date: {launch.tracking_problem}", err=True)
        typer.echo(f"Results are safe. When it is back: osr sync {sweep}", err=True)
    if launch.tracking_problem and not is_exported(launch):
        typer.echo(f"Then, for the table: osr export {sweep} && osr table {sweep}", err=True)
    elif len(missing) < len(launch.plan.owed):
        print_table(launch)
    typer.echo(f"MLflow data: {launch.home.tracking_uri}")
    if launch.home.tracking is None:
        home = launch.home.root
        elsewhere = "" if home == DEFAULT_HOME.resolve() else f" --home {home}"
        typer.echo(f"Look at every run: osr ui{elsewhere}")
        typer.echo(f"All sweeps on a page, with curves and costs: osr report{elsewhere}")


def is_exported(launch: "Launch") -> bool:
    """Whether there is an export of just this plan, with all of its results, from this store."""
    from analysis.exports.read import is_complete_export

    folder = launch.home.export(launch.plan.spec.name)
    return is_complete_export(folder, launch.plan.owed, launch.store.id)


def print_table(launch: "Launch") -> None:
    """Print a sweep's table, from a new export unless nothing can be new in it."""
    from analysis.tables.render import render
    from analysis.tables.sweep_sheet import printable
    from analysis.tables.sweep_table import table

    sweep = launch.plan.spec.name
    if not ((launch.up_to_date or launch.tracking_problem) and is_exported(launch)):
        results.write_export(launch.home, sweep)
    typer.echo(render(printable(table(launch.home.export(sweep))), "markdown"))
