"""The commands that list what a spec may name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError
from sweeps.commands.listing import show
from sweeps.commands.options import DataOption, JsonOption
from sweeps.home import expanded

if TYPE_CHECKING:
    from osr_core.data.splits import ClassSplit


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


@datasets_app.callback()
def datasets(
    context: typer.Context, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the data sets: what a spec may name, and what of it is here; or `fetch` one."""
    from osr_core.data import BENCHMARKS
    from osr_core.data.inventory import inventory

    if context.invoked_subcommand is not None:
        return
    rows = inventory(data_root)
    if as_json:
        show(rows, True)
        return
    show([_short(row) for row in rows], False)
    of_licence: dict[str, list[str]] = {}
    for row in rows:
        of_licence.setdefault(row["licence"], []).append(row["reader"])
    show([{"licence": text, "of": readers} for text, readers in of_licence.items()], False)
    for name, pair in BENCHMARKS.items():
        if pair.known is not pair.unknown:
            typer.echo(f"{name}: known classes of {pair.known.name}, unknown {pair.unknown.name}")
    problems = [problem for row in rows for problem in row["problems"].values()]
    for problem in dict.fromkeys(problems):
        typer.echo(f"note: {problem}", err=True)


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a data set's row fits a line: licences and names in a spec stand below."""
    shown = {key: row[key] for key in ("reader", "classes", "image")}
    for subset in ("train", "test"):
        absent = "broken" if subset in row["problems"] else "missing"
        shown[subset] = (row[subset] or absent)[:8]
    return {**shown, "MB": row["bytes"] and round(row["bytes"] / 1e6)}


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


def splits(
    dataset: Annotated[str | None, typer.Argument(help="Show this dataset's classes.")] = None,
    protocol: Annotated[str, typer.Option(help="Family of splits.")] = "cac",
    data_root: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the class splits with their openness; of one dataset, with the classes' names."""
    from osr_core.data import BENCHMARKS
    from osr_core.data.split_files import names_under
    from osr_core.data.splits import class_split, protocols, splits_of

    if protocol.endswith(".json"):
        protocol = str(expanded(Path(protocol)))
    listed = protocols()
    names = list(listed[protocol].counts if protocol in listed else BENCHMARKS)
    names = names if dataset is None else [dataset]
    rows = []
    for name in names:
        for index in range(splits_of(name, protocol) or 0):
            split = class_split(name, protocol, index, names_under(data_root))
            row: dict[str, Any] = {"split": split.id, "protocol": protocol}
            if dataset is None and not as_json:
                row |= {"known": list(split.known), "unknown": f"{len(split.unknown)} classes"}
            else:
                row |= named_classes(split, data_root, as_json)
            rows.append({**row, "openness": round(split.openness, 4)})
    show(rows, as_json)
    if not as_json and protocol in listed:
        for text in (listed[protocol].source, *listed[protocol].notes):
            typer.echo(f"{protocol}: {text}")


def named_classes(
    split: "ClassSplit", data_root: Path | None, as_json: bool
) -> dict[str, list[int] | list[str] | str]:
    """A split's classes: numbers and names apart for programs, together for people."""
    from osr_core.data.checks import class_names, named

    found: dict[str, list[int] | list[str] | str] = {}
    for side, source in (("known", split.known_from), ("unknown", split.unknown_from)):
        classes, names = getattr(split, side), class_names(data_root, source)
        if as_json:
            found[side] = list(classes)
            found[f"{side}_names"] = [names[k] for k in classes if k < len(names)]
        else:
            found[side] = ", ".join(named(names, classes))
    return found


def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from sweeps.planning.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
