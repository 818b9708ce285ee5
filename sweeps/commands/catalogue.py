"""The commands that list what a spec may name."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.listing import say, show
from sweeps.commands.options import DEFAULT_PROTOCOL, DataOption, JsonOption, data_here
from sweeps.home import expanded

if TYPE_CHECKING:
    from osr_core.data.splits import ClassSplit

DRAWN = 5  # splits of each dataset that are shown of a protocol that draws as many as one likes


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
    if not rows and not as_json:
        typer.echo(f"{name} has no settings; a spec names it as {name}: {{}}")
        return
    show(rows, as_json)
    if name is None and not as_json:
        typer.echo("Settings of one: osr methods NAME")


def splits(
    dataset: Annotated[str | None, typer.Argument(help="Show this dataset's classes.")] = None,
    protocol: Annotated[str, typer.Option(help="Family of splits.")] = DEFAULT_PROTOCOL,
    data_root: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the class splits with their openness; of one dataset, with the classes' names."""
    from osr_core.data import BENCHMARKS
    from osr_core.data.split_files import names_under
    from osr_core.data.splits import class_split, protocols, splits_of
    from sweeps.launch.data_folder import readers_of

    if protocol.endswith(".json"):
        protocol = str(expanded(Path(protocol)))
    listed = protocols()
    about = listed.get(protocol)
    names = list(about.counts if about else BENCHMARKS) if dataset is None else [dataset]
    told = [about.source, *about.notes_on(*names)] if about else []
    root = data_here(data_root, readers_of([] if dataset is None else [dataset]))
    counts = {name: splits_of(name, protocol) for name in names}
    if None in counts.values():
        told.append(f"Any number is a split; those shown are 0 to {DRAWN - 1}.")
    rows = []
    for name, count in counts.items():
        for index in range(DRAWN if count is None else count):
            split = class_split(name, protocol, index, names_under(root))
            row: dict[str, Any] = {"split": split.id, "openness": round(split.openness, 4)}
            if as_json:
                row |= {"protocol": protocol, "notes": told}
            if dataset is None and not as_json:
                row |= {"unknown": f"{len(split.unknown)} classes", "known": list(split.known)}
            else:
                row |= named_classes(split, root, as_json)
            rows.append(row)
    show(rows, as_json, title=f"protocol {protocol}")
    if as_json:
        return
    for text in told:
        say(f"{protocol}: {text}")
    having = {key for key, each in listed.items() if dataset is None or dataset in each.counts}
    others = sorted(key for key in having - {protocol} if "@" not in key)
    if others:
        say(f"Other protocols: {', '.join(others)}, by --protocol")


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


def spec(
    name: Annotated[str | None, typer.Argument(help="One of them; default: list all.")] = None,
) -> None:
    """Print a packaged spec, to copy and change it: osr spec digits > my_sweep.yaml."""
    from sweeps.planning.spec import packaged_specs

    specs = packaged_specs()
    if name is not None and name not in specs:
        raise ConfigError(unknown_name("packaged spec", name, specs))
    typer.echo("\n".join(specs) if name is None else specs[name].read_text("utf-8").rstrip("\n"))


def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from sweeps.planning.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
