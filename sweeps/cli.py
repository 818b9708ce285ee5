"""The `osr` command.

Exit codes: 0 done, 1 some stages failed, 2 the request is wrong.
"""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osr_core.errors import ConfigError, DataError, OsrError
from sweeps.home import Home, silence
from sweeps.listing import show

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
HomeOption = Annotated[
    Path, typer.Option("--home", envvar="OSR_HOME", help="Folder of all results.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-root", envvar="OSR_DATA", help="Folder with the data sets' files."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_HOME = Path("osr-home")


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
        done = Store(Home(home).store).committed(planned.stages)
    todo = remaining(planned, done)
    counts = planned.counts()
    if as_json:
        facts = {"sweep": loaded.name, **counts, "kinds": planned.kinds()}
        facts |= {"done": len(done), "to_run": len(todo), "missing_data": missing_data}
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
    replace: Annotated[
        bool, typer.Option("--replace", help="Let this spec take over a name already given.")
    ] = False,
) -> None:
    """Run every stage that is not done yet, then print the table. Run it again to go on."""
    from sweeps.runner import run_sweep
    from sweeps.spec import load_spec

    loaded = load_spec(spec)
    console = Console()
    place = Home(home)
    summary = run_sweep(loaded, place, data_root, console, replace=replace)
    stages, trials = len(summary.plan.stages), len(summary.plan.trials)
    console.print(
        f"sweep {loaded.name}: {summary.started} of {stages} stages started, "
        f"{trials - len(summary.missing)} of {trials} trials done"
    )
    for trial, reason in summary.missing:
        console.print(f"missing {trial.label}: {reason}", markup=False, style="red", soft_wrap=True)
    if len(summary.missing) < trials:
        from analysis.export import export
        from analysis.tables import render, table

        folder = place.export(loaded.name)
        export(place.tracking_uri, loaded.name, folder)
        typer.echo(render(table(folder), "markdown"))
    typer.echo(f"MLflow data: {place.tracking_uri}")
    typer.echo(f"Look at every run: osr ui{'' if home == DEFAULT_HOME else f' --home {home}'}")
    if summary.missing:
        raise typer.Exit(1)


@app.command()
def status(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; all, if left out.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what of each sweep is done, what failed and why."""
    from osr_core.errors import unknown_name
    from sweeps.store import Store

    if not (home / "store").exists():
        raise ConfigError(f"there is no store in {home}. Run a sweep first: osr run digits")
    store = Store(Home(home).store)
    if sweep is not None and sweep not in store.sweeps():
        raise ConfigError(unknown_name("sweep", sweep, store.sweeps()))
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
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
        failures += [
            {"sweep": name, "stage": labels[stage_id], "reason": failure["reason"]}
            for stage_id, failure in found.items()
        ]
    if as_json:
        typer.echo(json.dumps({"sweeps": rows, "failures": failures}, indent=2))
        return
    show(rows, False)
    if failures:
        show(failures, False, title="failed stages")


@app.command()
def export(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Freeze a sweep's results as Parquet: runs, history and scores."""
    from analysis.export import export as write_export

    exported = write_export(Home(home).tracking_uri, sweep, Home(home).export(sweep))
    rows = [{"file": str(path), "bytes": path.stat().st_size} for path in exported.paths]
    show(rows, as_json)


@app.command()
def table(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
    format: Annotated[str, typer.Option(help="markdown, latex, csv or json.")] = "markdown",
) -> None:
    """Print the table of an exported sweep: mean and deviation over splits, beside the papers'."""
    from analysis.tables import render
    from analysis.tables import table as make_table

    folder = Home(home).export(sweep)
    if not folder.exists():
        raise ConfigError(f"sweep '{sweep}' is not exported to {folder}. Run: osr export {sweep}")
    typer.echo(render(make_table(folder), format))


@app.command()
def ui(
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages on this machine until Ctrl-C."""
    place = Home(home)
    if not (place.root / "mlflow" / "mlflow.db").exists():
        raise ConfigError(
            f"there is no MLflow database in {home}. Run a sweep first: osr run digits"
        )
    typer.echo(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", place.tracking_uri, "--workers", "1"]
    command += ["--default-artifact-root", place.artifacts.resolve().as_uri()]
    try:
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    except KeyboardInterrupt:
        return


@app.command()
def doctor(
    home: HomeOption = DEFAULT_HOME, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """Check that everything a sweep needs is in place."""
    from sweeps.doctor import examine

    findings = [vars(finding) for finding in examine(Home(home), data_root)]
    show(findings, as_json)
    if any(finding["state"] == "fault" for finding in findings):
        raise typer.Exit(1)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the methods, or one method's hyperparameters with their meaning and range."""
    import dataclasses

    from osr_core.methods import METHODS, method_named

    if name is None:
        rows: list[dict[str, Any]] = [
            {"name": name, "title": method.title, "source": method.source}
            for name, method in METHODS.items()
        ]
    else:
        rows = [
            {"setting": field.name, "default": field.default, "meaning": field.metadata["meaning"]}
            for field in dataclasses.fields(method_named(name).Config)
        ]
    show(rows, as_json)


@app.command()
def datasets(data_root: DataOption = None, as_json: JsonOption = False) -> None:
    """List the data sets: what a spec may name, and whether its files are there."""
    from osr_core.data import BENCHMARKS, READERS

    rows = []
    for name, reader in READERS.items():
        found = {}
        for subset in ("train", "test"):
            try:
                reader.files(data_root, subset)
                found[subset] = "found"
            except DataError:
                found[subset] = "missing"
        used_by = [
            b.name for b in BENCHMARKS.values() if reader.name in (b.known.name, b.unknown.name)
        ]
        row: dict[str, Any] = {
            "reader": name,
            "title": reader.title,
            "classes": len(reader.classes),
        }
        row |= {"image": f"{reader.channels}x{reader.image_size}x{reader.image_size}", **found}
        rows.append({**row, "datasets": used_by, "licence": reader.licence})
    show(rows, as_json)


@app.command()
def splits(
    dataset: Annotated[str | None, typer.Argument(help="Show this dataset's classes.")] = None,
    protocol: Annotated[str, typer.Option(help="Family of splits.")] = "cac",
    as_json: JsonOption = False,
) -> None:
    """List the published class splits with their openness."""
    from osr_core.data import BENCHMARKS
    from osr_core.data.splits import class_split, splits_of

    names = list(BENCHMARKS) if dataset is None else [dataset]
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
