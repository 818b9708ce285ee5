"""The commands that plan and run a sweep."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from osr_core.errors import ConfigError
from sweeps.commands import results
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, DataOption, HomeOption, JsonOption, with_store
from sweeps.commands.terminal import lasting_output

if TYPE_CHECKING:
    from sweeps.launch.changed import Decide
    from sweeps.launch.state import Launch

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
        metavar="MINUTES", min=0, help="How long to wait for a machine that has what is asked."
    ),
]


def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every image file again, changed or not.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a sweep costs and what of it is done; starts nothing."""
    from osr_core.data.memory import forget
    from sweeps.launch.changed import in_words
    from sweeps.launch.outlook import MEANINGS, outlook
    from sweeps.planning.spec import load_spec

    loaded = load_spec(spec)
    if rehash:
        forget()
    ahead = outlook(loaded, with_store(home), data_root)
    if as_json:
        typer.echo(json.dumps(ahead.facts(), indent=2))
        return
    counts = ahead.counts
    rows = [
        {"": name.replace("_", " "), "count": counts[name], "meaning": meaning}
        for name, meaning in MEANINGS.items()
    ]
    show(rows, False, title=f"sweep {loaded.name}")
    if searches := ahead.searches:
        shown = [{key: row[key] for key in row if key != "image_passes"} for row in searches]
        show(shown, False, title="besides, searches at most")
        typer.echo(
            "Every candidate on every step, and those chosen trained anew, each as the default. "
            "What candidates share, pruning and budgets make it less."
        )
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    for remark in ahead.remarks:
        typer.echo(f"note: {remark}", err=True)
    if ahead.missing_data:
        typer.echo("note: what is done is not known without the data.", err=True)
        typer.echo(ahead.missing_data, err=True)
    if ahead.changed:
        told = in_words(ahead.plan, ahead.changed)
        typer.echo(f"note: {told} `osr run` asks whether to make them anew.", err=True)
    if ahead.name_taken:
        typer.echo(f"note: `osr run` would refuse this: {ahead.name_taken}", err=True)


def cost(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="SPEC...", help="Default: the specs of both papers."),
    ] = None,
    tflops: Annotated[
        float, typer.Option(min=0.001, help="A GPU's rate in training, 10^12 FLOPs a second.")
    ] = 50.0,
    as_json: JsonOption = False,
) -> None:
    """Compare what sweeps would cost from nothing, by arithmetic; needs no data, starts nothing.

    50 TFLOP/s is a twentieth of what an H100 can do in bfloat16: assumed, not measured.
    """
    from sweeps.launch.outlook import from_nothing
    from sweeps.planning.spec import load_spec, papers_specs

    names = specs or papers_specs()
    rows = [row for name in names for row in from_nothing(load_spec(name), 1e12 * tflops)]
    show(rows, as_json, title=f"GPU hours at {tflops:g} TFLOP/s")


def run(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    address: AddressOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    wait: WaitOption = 60.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let this spec take over a name already given.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on in place of a driver that still runs.")
    ] = False,
    remake: Annotated[
        bool,
        typer.Option("--remake", help="Make results of other code anew, and what rests on them."),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with results of other code.")] = False,
) -> None:
    """Run every stage that is not done yet, then print the table. Run it again to go on."""
    from sweeps.launch.launch import run_sweep
    from sweeps.planning.spec import load_spec
    from sweeps.running.allotment import Allotment
    from sweeps.tracking.painter import Painter

    if address is not None and (cpus, gpus) != (None, None):
        raise ConfigError("--cpus and --gpus are of this machine; with --address, leave them out.")
    loaded = load_spec(spec)
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    with lasting_output():
        with Painter(results.draw_pictures) as pictures:
            launch = run_sweep(
                loaded,
                with_store(home),
                data_root,
                Console(),
                address=address,
                allotment=Allotment(cpus, gpus),
                replace=replace,
                take_over=take_over,
                wait_s=60 * wait,
                pictures=pictures,
                decide=decision(remake, keep),
            )
        tell(launch)
    if launch.stopped or launch.missing or launch.unmade or launch.unchosen:
        raise typer.Exit(130 if launch.stopped else 1)


def decision(remake: bool, keep: bool) -> "Decide":
    """What becomes of results of other code, as the options say or, without any, whoever is asked.

    Raises:
        ConfigError: both are given.
    """
    if remake and keep:
        raise ConfigError("--remake and --keep say opposite things; give one of them.")
    return (lambda told: remake) if remake or keep else ask


def ask(told: str) -> bool:
    """Whether results of other code are made anew, by whoever sits at the terminal."""
    from sweeps.launch.changed import refuse

    if not sys.stdin.isatty():
        return refuse(told)
    typer.echo(told)
    if typer.confirm("Make them anew, with what rests on them?"):
        return True
    if typer.confirm("Go on with the old results?"):
        return False
    raise typer.Exit(2)


def tell(launch: "Launch") -> None:
    """Say how a launch ended: counts, missing trials, the table, where everything lies."""
    sweep, trials = launch.plan.spec.name, len(launch.plan.trials)
    console = launch.console
    console.print(
        f"sweep {sweep}: {len(launch.started)} of {len(launch.plan.stages)} stages started, "
        f"{launch.num_done} of {trials} trials done"
        + (f", {launch.retried} attempts repeated" if launch.retried else "")
    )
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
        console.print(f"set aside and not made again: {label}", style="red", soft_wrap=True)
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


def is_exported(launch: "Launch") -> bool:
    """Whether there is an export of just this plan, with all of its results, from this store."""
    from analysis.exports.read import is_complete_export

    folder = launch.home.export(launch.plan.spec.name)
    return is_complete_export(folder, launch.plan.owed, launch.store.id)


def print_table(launch: "Launch") -> None:
    """Print a sweep's table, from a new export unless nothing can be new in it."""
    from analysis.exports.write import export
    from analysis.tables.render import render
    from analysis.tables.sweep_sheet import printable
    from analysis.tables.sweep_table import table
    from sweeps.tracking.database import make_ready

    sweep = launch.plan.spec.name
    folder = launch.home.export(sweep)
    if not ((launch.up_to_date or launch.tracking_problem) and is_exported(launch)):
        make_ready(launch.home)
        export(launch.home.tracking_uri, sweep, folder, store=launch.store.id or "")
    typer.echo(render(printable(table(folder)), "markdown"))
