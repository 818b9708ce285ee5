"""The `osr` command.

Exit codes: 0 done, 1 some stages failed, 2 the request is wrong, 130 stopped by the user.
"""

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from osr_core.errors import ConfigError, DataError, OsrError
from sweeps import cli_results
from sweeps.home import Home, silence
from sweeps.listing import show
from sweeps.options import DEFAULT_HOME, DataOption, HomeOption, JsonOption, at

if TYPE_CHECKING:
    from sweeps.store import Store

silence()
app = typer.Typer(
    help="Sweep open set recognition experiments and get a paper's tables out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a packaged spec.")
]


@app.command()
def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a sweep costs and what of it is done; starts nothing."""
    from sweeps.plan import make_plan, remaining
    from sweeps.runner import plan_with_data
    from sweeps.spec import load_spec
    from sweeps.store import Store

    loaded = load_spec(spec)
    missing_data = None
    try:
        planned = plan_with_data(loaded, data_root)
    except DataError as error:  # the counts are exact without data; what is done is not known
        missing_data = str(error)
        planned = make_plan(loaded, placeholders(loaded.datasets))
    done: set[str] = set()
    if missing_data is None and (home / "store").exists():
        done = Store(at(home).store).committed(planned.stages)
    todo = remaining(planned, done)
    counts = planned.counts()
    if as_json:
        facts = {"sweep": loaded.name, **counts, "kinds": planned.kinds()}
        facts |= {"done": len(done), "to_run": len(todo), "missing_data": missing_data}
        facts["missing"] = [vars(left_out) for left_out in loaded.missing]
        typer.echo(json.dumps(facts, indent=2))
        return
    meanings = {
        "trials": "results in the table's cells",
        "stages": "distinct pieces of work",
        "fits": "of them training a network",
        "shared": "stages that more than one trial uses",
        "fits_saved": "fits that running trial by trial would repeat",
        "epochs": "of all fits together",
    }
    rows = [
        {"": key.replace("_", " "), "count": counts[key], "meaning": meanings[key]}
        for key in meanings
    ]
    rows.append({"": "done", "count": len(done), "meaning": "stages found in the store"})
    rows.append({"": "to run", "count": len(todo), "meaning": "stages that `osr run` would start"})
    show(rows, False, title=f"sweep {loaded.name}")
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    if missing_data:
        typer.echo(f"note: what is done is not known without the data.\n{missing_data}", err=True)


def placeholders(datasets: list[str]) -> dict[str, str]:
    """Fingerprints that stand for data which is not here, to count a plan without it."""
    from osr_core.data import BENCHMARKS

    made_of = [BENCHMARKS[name] for name in datasets]
    readers = {reader.name for b in made_of for reader in (b.known, b.unknown)}
    return {f"{name}/{subset}": "missing" for name in readers for subset in ("train", "test")}


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
    from sweeps.runner import run_sweep
    from sweeps.spec import load_spec

    loaded = load_spec(spec)
    for left_out in loaded.missing:
        typer.echo(f"left out: {left_out}")
    console = Console()
    place = at(home)
    launch = run_sweep(
        loaded,
        place,
        data_root,
        console,
        address=address,
        replace=replace,
        take_over=take_over,
    )
    missing, trials = launch.missing, len(launch.plan.trials)
    console.print(
        f"sweep {loaded.name}: {launch.started} of {len(launch.plan.stages)} stages started, "
        f"{trials - len(missing)} of {trials} trials done"
        + (f", {launch.retried} attempts repeated" if launch.retried else "")
    )
    if launch.stopped:
        typer.echo("stopped; what was done is saved. Run the same command to go on.")
        raise typer.Exit(130)
    for trial, reason in missing:
        console.print(f"missing {trial.label}: {reason}", markup=False, style="red", soft_wrap=True)
    if launch.tracking_problem:
        typer.echo(f"MLflow is not up to date: {launch.tracking_problem}", err=True)
        typer.echo(f"Results are safe. When it is back: osr sync {loaded.name}", err=True)
    elif len(missing) < trials:
        print_table(place, loaded.name, fresh=launch.up_to_date)
    typer.echo(f"MLflow data: {place.tracking_uri}")
    typer.echo(f"Look at every run: osr ui{'' if home == DEFAULT_HOME else f' --home {home}'}")
    if missing:
        raise typer.Exit(1)


def print_table(place: Home, sweep: str, *, fresh: bool) -> None:
    """Print a sweep's table, from a new export unless the last one is `fresh`."""
    from analysis.export import export
    from analysis.tables import render, table

    folder = place.export(sweep)
    if not (fresh and (folder / "runs.parquet").exists()):
        export(place.tracking_uri, sweep, folder)
    typer.echo(render(table(folder), "markdown"))


@app.command()
def sync(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Bring MLflow up to date with the store; fills an empty server, doubles nothing."""
    from sweeps.record import plan_of
    from sweeps.runner import make_tracker

    place = at(home)
    store, record = sweep_record(place, sweep)
    plan = plan_of(record)
    done = store.committed(trial.id for trial in plan.trials)
    tracker = make_tracker(plan, store, place, record["commit"])
    tracker.close("FINISHED" if len(done) == len(plan.trials) else "FAILED")
    typer.echo(f"{len(tracker.finished)} of {len(plan.stages)} stages are in {place.tracking_uri}")


def sweep_record(place: Home, sweep: str) -> tuple["Store", dict[str, Any]]:
    """The store, and what it keeps of a sweep's plan; ConfigError says which sweeps there are."""
    from osr_core.errors import unknown_name
    from sweeps.store import Store

    if not place.store.exists():
        raise ConfigError(f"there is no store in {place.root}. Run a sweep first: osr run digits")
    store = Store(place.store)
    record = store.sweep(sweep) if sweep in store.sweeps() else None
    if record is None:
        raise ConfigError(unknown_name("sweep", sweep, store.sweeps()))
    return store, record


@app.command()
def gc(
    keep: Annotated[
        list[str] | None, typer.Argument(metavar="[SWEEP]...", help="Sweeps to keep; default: all.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete results that none of the named sweeps needs, after showing what goes."""
    from sweeps.store import Store

    place = at(home)
    if not place.store.exists():
        raise ConfigError(f"there is no store in {home}; nothing to delete")
    store = Store(place.store)
    records = [sweep_record(place, name)[1] for name in keep or store.sweeps()]
    needed = {stage["stage_id"] for record in records for stage in record["stages"]}
    unneeded = store.unneeded(needed)
    size = sum(unneeded.values())
    for name in sorted(unneeded):
        typer.echo(f"{unneeded[name]:>12} bytes  {name}")
    typer.echo(f"{len(unneeded)} folders and files, {size / 1e6:.1f} MB, needed by no sweep kept")
    if unneeded and (yes or typer.confirm("Delete them?")):
        store.delete(unneeded)
        typer.echo("deleted")


@app.command()
def status(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; all, if left out.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what of each sweep is done, what failed and why."""
    from sweeps.store import Store

    place = at(home)
    if sweep is not None:
        sweep_record(place, sweep)
    if not place.store.exists():
        raise ConfigError(f"there is no store in {home}. Run a sweep first: osr run digits")
    store = Store(place.store)
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    begun: list[dict[str, Any]] = []
    for name in [sweep] if sweep else store.sweeps():
        record = store.sweep(name)
        assert record is not None
        ids = [stage["stage_id"] for stage in record["stages"]]
        done = store.committed(ids)
        found = {i: reason for i in ids if i not in done and (reason := store.failure(i))}
        trials = [trial["trial_id"] for trial in record["trials"]]
        row = {"sweep": name, "trials_done": len(done.intersection(trials)), "trials": len(trials)}
        row |= {"stages_done": len(done), "stages": len(ids), "failed": len(found)}
        rows.append(row)
        labels = {stage["stage_id"]: stage["label"] for stage in record["stages"]}
        begun += [
            {"sweep": name, "stage": labels[i], **progress}
            for i in ids
            if i not in done and (progress := store.progress(i))
        ]
        failures += [
            {"sweep": name, "stage": labels[stage_id], "reason": failure["reason"]}
            for stage_id, failure in found.items()
        ]
    if as_json:
        facts = {"sweeps": rows, "begun": begun, "failures": failures}
        typer.echo(json.dumps(facts, indent=2))
        return
    show(rows, False)
    if begun:
        show(begun, False, title="begun fits")
    if failures:
        show(failures, False, title="failed stages")


for command in (cli_results.export, cli_results.table, cli_results.figure, cli_results.report):
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
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
) -> None:
    """Open MLflow's pages on this machine until Ctrl-C, or serve a team's database."""
    place = at(home)
    if server is None and not (place.root / "mlflow" / "mlflow.db").exists():
        raise ConfigError(
            f"there is no MLflow database in {home}. Run a sweep first: osr run digits"
        )
    typer.echo(f"MLflow: http://{host}:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    artifacts = (place.root.resolve() / "mlflow" / "artifacts").as_uri()
    environment = {  # not on the command line, where every user of the machine could read it
        "MLFLOW_BACKEND_STORE_URI": server or Home(home).tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION" if server else "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts,
    }
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    except KeyboardInterrupt:
        return
    raise typer.Exit(done.returncode)


@app.command()
def doctor(
    home: HomeOption = DEFAULT_HOME, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """Check that everything a sweep needs is in place."""
    from sweeps.doctor import examine

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
    from sweeps.schema import settings_listing

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
    from sweeps.schema import json_schema

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
