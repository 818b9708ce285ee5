"""The `osr` command.

Exit codes: 0 done, 1 some stages failed, 2 the request is wrong, 130 stopped by the user.
"""

import json
import logging
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from osr_core.errors import ConfigError, OsrError
from sweeps.commands import results, store
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, DataOption, HomeOption, JsonOption, at
from sweeps.home import Home, prepare_environment
from sweeps.launch.reaper import Reaper

if TYPE_CHECKING:
    from sweeps.launch.launch import Launch

prepare_environment()
app = typer.Typer(
    help="Sweep open set recognition experiments and get a paper's tables out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a packaged spec.")
]


def print_version(wanted: bool) -> None:
    """What `osr --version` does."""
    if wanted:
        typer.echo(f"osr-sweeps {version('osr-sweeps')}")
        raise typer.Exit


@app.callback()
def osr(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Stands before every command."""


@app.command()
def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a sweep costs and what of it is done; starts nothing."""
    from sweeps.launch.outlook import MEANINGS, outlook
    from sweeps.planning.spec import load_spec

    loaded = load_spec(spec)
    ahead = outlook(loaded, at(home), data_root)
    if as_json:
        typer.echo(json.dumps(ahead.facts(), indent=2))
        return
    rows = [
        {"": name.replace("_", " "), "count": ahead.counts[name], "meaning": meaning}
        for name, meaning in MEANINGS.items()
    ]
    show(rows, False, title=f"sweep {loaded.name}")
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    if ahead.missing_data:
        typer.echo("note: what is done is not known without the data.", err=True)
        typer.echo(ahead.missing_data, err=True)
    if ahead.name_taken:
        typer.echo(f"note: `osr run` would refuse this: {ahead.name_taken}", err=True)


@app.command()
def run(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster; default: start one here.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let this spec take over a name already given.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on in place of a driver that still runs.")
    ] = False,
) -> None:
    """Run every stage that is not done yet, then print the table. Run it again to go on."""
    from sweeps.launch.launch import run_sweep
    from sweeps.planning.spec import load_spec

    loaded = load_spec(spec)
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    launch = run_sweep(
        loaded,
        at(home),
        data_root,
        Console(),
        address=address,
        replace=replace,
        take_over=take_over,
        pictures=results.draw_pictures,
    )
    tell(launch)
    if launch.stopped:
        raise typer.Exit(130)
    if launch.missing or launch.unmade:
        raise typer.Exit(1)


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
    for label in launch.unmade:
        console.print(f"damaged and not made again: {label}", style="red", soft_wrap=True)
    if launch.tracking_problem:
        typer.echo(f"MLflow is not up to date: {launch.tracking_problem}", err=True)
        typer.echo(f"Results are safe. When it is back: osr sync {sweep}", err=True)
    if launch.tracking_problem and not is_exported(launch):
        typer.echo(f"Then, for the table: osr export {sweep} && osr table {sweep}", err=True)
    elif len(missing) < trials:
        print_table(launch)
    typer.echo(f"MLflow data: {launch.home.tracking_uri}")
    if launch.home.tracking is None:
        home = launch.home.root
        typer.echo(f"Look at every run: osr ui{'' if home == DEFAULT_HOME else f' --home {home}'}")


def is_exported(launch: "Launch") -> bool:
    """Whether there is an export of just this plan, with all of its results."""
    from analysis.exports.read import is_complete_export

    trial_ids = [trial.id for trial in launch.plan.trials]
    return is_complete_export(launch.home.export(launch.plan.spec.name), trial_ids)


def print_table(launch: "Launch") -> None:
    """Print a sweep's table, from a new export unless nothing can be new in it."""
    from analysis.exports.write import export
    from analysis.tables.render import render
    from analysis.tables.sweep_sheet import printable
    from analysis.tables.sweep_table import table

    sweep = launch.plan.spec.name
    folder = launch.home.export(sweep)
    if not ((launch.up_to_date or launch.tracking_problem) and is_exported(launch)):
        export(launch.home.tracking_uri, sweep, folder)
    typer.echo(render(printable(table(folder)), "markdown"))


for store_command in (store.status, store.sync, store.gc):
    app.command()(store_command)
for command in (results.export, results.table, results.figure, results.report):
    app.command()(command)


@app.command()
def ui(
    home: HomeOption = DEFAULT_HOME,
    server: Annotated[
        str | None,
        typer.Option(
            envvar="OSR_TRACKING_DATABASE",
            help="Serve this database (postgresql://...) to a team instead of the home's own.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
) -> None:
    """Open MLflow's pages on this machine until Ctrl-C, or serve a team's database."""
    place = at(home)
    if server is None and place.tracking is not None:
        typer.echo(f"MLflow: {place.tracking} (OSR_TRACKING_URI)")
        return
    if server is None and not place.database.exists():
        raise ConfigError(
            f"there is no MLflow database in {home}. Run a sweep first: osr run digits"
        )
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"nobody can listen on {host}:{port} now ({error.strerror}). Choose another --port or "
            "--host."
        ) from error
    typer.echo(f"MLflow: http://{host}:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    command += [] if server else ["--workers", "1"]  # one user; four take long to start
    artifacts = (place.root.resolve() / "mlflow" / "artifacts").as_uri()
    environment = {  # not on the command line, where every user of the machine could read it
        "MLFLOW_BACKEND_STORE_URI": server or Home(home).tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION" if server else "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts,
    }
    try:
        with Reaper():  # the server has processes of its own, in a session that hears no Ctrl-C
            done = subprocess.run(
                command, env={**os.environ, **environment}, start_new_session=True, check=False
            )
    except KeyboardInterrupt:
        return
    raise typer.Exit(done.returncode)


@app.command()
def doctor(
    home: HomeOption = DEFAULT_HOME, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """Check that everything a sweep needs is in place."""
    from sweeps.commands.doctor import examine

    findings = [vars(finding) for finding in examine(at(home), data_root)]
    show(findings, as_json)
    if any(finding["state"] == "fault" for finding in findings):
        raise typer.Exit(1)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the methods, or one method's hyperparameters with their meaning and range."""
    from osr_core.methods import METHODS, method_named
    from sweeps.planning.json_schema import settings_listing

    if name is None:
        rows: list[dict[str, Any]] = [
            {"name": name, "title": method.title, "source": method.source}
            for name, method in METHODS.items()
        ]
    else:
        rows = settings_listing(method_named(name).Config)
    show(rows, as_json)


datasets_app = typer.Typer(invoke_without_command=True)
app.add_typer(datasets_app, name="datasets")


@datasets_app.callback()
def datasets(
    context: typer.Context, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the data sets: what a spec may name, and what of it is here; or `fetch` one."""
    from osr_core.data.inventory import inventory

    if context.invoked_subcommand is not None:
        return
    rows = inventory(data_root)
    if not as_json:
        for row in rows:
            row |= {subset: (row[subset] or "missing")[:8] for subset in ("train", "test")}
    show(rows, as_json)


@datasets_app.command("fetch")
def fetch_dataset(
    name: Annotated[str, typer.Argument(help="A reader's name, as `osr datasets` lists them.")],
    data_root: DataOption = None,
) -> None:
    """Download a data set's published files into the data folder; run it again to go on."""
    from osr_core.data.fetch import fetch

    if data_root is None:
        raise ConfigError("say where to: --data-root FOLDER, or the variable OSR_DATA.")
    for path in fetch(name, data_root):
        typer.echo(path)


@app.command()
def splits(
    dataset: Annotated[str | None, typer.Argument(help="Show this dataset's classes.")] = None,
    protocol: Annotated[str, typer.Option(help="Family of splits.")] = "cac",
    as_json: JsonOption = False,
) -> None:
    """List the published class splits with their openness."""
    from osr_core.data import BENCHMARKS
    from osr_core.data.splits import class_split, protocols, splits_of

    listed = protocols()
    names = list(listed[protocol].counts if protocol in listed else BENCHMARKS)
    names = names if dataset is None else [dataset]
    rows = []
    for name in names:
        for index in range(splits_of(name, protocol) or 0):
            split = class_split(name, protocol, index)
            row: dict[str, Any] = {
                "split": split.id,
                "protocol": protocol,
                "known": list(split.known),
            }
            unknown = list(split.unknown)
            row["unknown"] = unknown if as_json or dataset else f"{len(unknown)} classes"
            rows.append({**row, "openness": round(split.openness, 4)})
    show(rows, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from sweeps.planning.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def main() -> None:
    """Run the command; what is wrong with a request is said without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app()
    except OsrError as error:
        lines = error.problems if isinstance(error, ConfigError) else [str(error)]
        for line in lines:
            typer.echo(f"error: {line}", err=True)
        sys.exit(2)
