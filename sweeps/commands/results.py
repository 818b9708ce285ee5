"""The commands that read results: `osr export`, `osr table` and `osr figure`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.listing import show
from sweeps.commands.options import (
    DEFAULT_HOME,
    DataOption,
    HomeOption,
    JsonOption,
    OutputOption,
    at,
    data_here,
    with_store,
)
from sweeps.home import Home

if TYPE_CHECKING:
    from analysis.exports.write import Export
    from analysis.figures.source import ImageLoader
    from osr_core.data.base import Subset
    from osr_core.data.imageset import Images


def export(
    sweep: Annotated[str, typer.Argument(help="A sweep's name.")],
    home: HomeOption = DEFAULT_HOME,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE",
            help="Read only what reached MLflow then or later (2026-01-31, 2026-01-31T15:00:00); "
            "keep the others' rows.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze a sweep's results as Parquet; an interrupted export goes on where it stopped."""
    exported = write_export(with_store(home), sweep, since)
    rows = [{"file": str(path), "bytes": path.stat().st_size} for path in exported.paths]
    show(rows, as_json)
    if exported.missing:
        count = f"{len(exported.missing)} of {len(exported.plan.trials)}"
        typer.echo(f"{count} trials are not finished; `osr table {sweep}` names them", err=True)


def write_export(home: Home, sweep: str, since: datetime | None = None) -> "Export":
    """Write or complete the export of a sweep's results from this store."""
    from analysis.exports.write import export as write
    from sweeps.store.store import Store
    from sweeps.tracking.database import make_ready

    store = Store.existing(home.store)
    store_id = None if store is None else store.id or ""
    make_ready(home)
    return write(home.tracking_uri, sweep, home.export(sweep), since, store_id)


def table(
    name: Annotated[
        str, typer.Argument(help="A sweep, a paper's table (cac1 to pmal5), or compare.")
    ],
    sweeps: Annotated[
        list[str] | None, typer.Argument(help="compare: the sweeps; default: all.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="compare: a row; the first is compared with each of the others."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="A dataset to show.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A metric to show.")] = None,
    home: HomeOption = DEFAULT_HOME,
    format: Annotated[str, typer.Option(help="markdown, latex, html, csv or json.")] = "markdown",
) -> None:
    """Print a table from exports: a sweep's own, a paper's with ours beside it, or a comparison.

    A paper's table reads the export of its own sweep: cac2 that of cac-table2, and so on.
    """
    from analysis.papers.layouts import LAYOUTS
    from analysis.tables import paper_sheet, paper_table, sweep_sheet, sweep_table
    from analysis.tables.render import render

    exports = at(home).root / "exports"
    if name == "compare":
        from analysis.tables import comparison, comparison_sheet  # scipy takes a second to import

        check_exported(exports, sweeps or ())
        names = sweeps or exported_sweeps(exports)
        folders = [at(home).export(sweep) for sweep in names]
        made = comparison.compare(folders, row or (), dataset or (), metric or ("auroc",))
        printable = comparison_sheet.printable(made)
    elif sweeps or row:
        raise ConfigError(f"only `osr table compare` takes several sweeps or rows, not '{name}'.")
    elif name in LAYOUTS:
        if dataset or metric:
            raise ConfigError(f"table {name} is as printed: it takes no --dataset and no --metric.")
        printable = paper_sheet.printable(paper_table.paper_table(name, exports))
    else:
        folder = at(home).export(name)
        check_exported(exports, [name], "table", [*LAYOUTS, "compare"])
        shown = sweep_table.table(folder, dataset or (), metric or sweep_table.DEFAULT_METRICS)
        printable = sweep_sheet.printable(shown)
    typer.echo(render(printable, format))


def figure(
    name: Annotated[
        str,
        typer.Argument(
            help="roc, histogram, confusion, search, generated, cac2 to cac5, pmal4a to pmal6."
        ),
    ],
    named: Annotated[
        str | None, typer.Argument(metavar="[SWEEP]", help="As --sweep.", show_default=False)
    ] = None,
    sweep: Annotated[str, typer.Option(help="Sweep; the paper's own, if left out.")] = "",
    trial: Annotated[str, typer.Option(help="How the id of the trial to show begins.")] = "",
    search: Annotated[str, typer.Option(help="How the id of the search to show begins.")] = "",
    accepted: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="cac4: % of knowns to accept before counting unknowns."),
    ] = None,
    format: Annotated[
        str, typer.Option(help="png, svg or pdf; default: as --output ends, or png.")
    ] = "",
    output: OutputOption = None,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Draw a figure from an export and print where it lies."""
    from analysis.figures.draw import draw

    if named and sweep:
        raise ConfigError(f"figure {name} is of one sweep, not of '{named}' and '{sweep}'.")
    format = format or (output.suffix[1:].lower() if output else "") or "png"
    sweep = named or sweep
    exports = at(home).root / "exports"
    check_exported(exports, [sweep] if sweep else ())
    images = image_loader(data_root)
    drawn = draw(
        name,
        exports,
        sweep=sweep,
        trial=trial,
        format=format,
        images=images,
        accepted=accepted,
        search=search,
    )
    share = f"{accepted}" if accepted else ""
    words = "-".join(word for word in (name, sweep, trial[:8], search[:8], share) if word)
    leave(output or at(home).root / "figures" / f"{words}.{format}", drawn)


def leave(path: Path, content: bytes) -> None:
    """Write what a command made, with the folders around it, and print where it is.

    Raises:
        ConfigError: nothing can be written there. OSError: it does not fit, or the disk broke.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        if error.filename is None:  # the file was opened, so the request was right
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}. Name another file with --output."
        ) from error
    typer.echo(path)


def draw_pictures(run: Mapping[str, Any], content: bytes) -> Mapping[str, bytes]:
    """What a run in MLflow shows of a trial's scores, or of images made: PNG by file name."""
    from analysis.figures.generated import picture  # matplotlib takes a second to import
    from analysis.figures.trial import pictures

    if "trial_id" in run:
        return pictures(run, content)
    return picture(f"{run['label']}, sweep {run['sweep']}, commit {run['commit']}", content)


def check_exported(
    exports: Path, sweeps: Sequence[str], what: str = "export", others: Sequence[str] = ()
) -> None:
    """ConfigError with sentences for each of the sweeps that has no export.

    `others` are further names that could have been meant, and `what` all of them are called.
    """
    there = exported_sweeps(exports)
    absent = [each for each in sweeps if each not in there]
    if problems := [no_export(what, each, [*there, *others]) for each in absent]:
        raise ConfigError(problems)


def no_export(what: str, name: str, known: Sequence[str]) -> str:
    """Sentences for a sweep without an export, also where `name` is a packaged spec's instead."""
    from sweeps.planning.spec import packaged_specs
    from sweeps.planning.yaml_values import read_yaml

    spec, sweep, of_spec = packaged_specs().get(name), name, ""
    if spec is not None and (sweep := read_yaml(spec)["name"]) != name:
        of_spec = f" '{name}' is a spec, and its sweep is called '{sweep}'."
    exists = unknown_name(what, name, known)
    return (
        f"{exists}{of_spec} A sweep needs its export for that, in this home (--home or OSR_HOME). "
        f"`osr run` makes it at its end; before that: osr export {sweep}"
    )


def exported_sweeps(exports: Path) -> list[str]:
    """Every sweep with an export."""
    return sorted(path.parent.name for path in exports.glob("*/runs.parquet"))


def image_loader(data_root: str | None) -> "ImageLoader":
    """Gives images by their ids, each (H, W, C) uint8; a dataset's files are read once."""
    from osr_core.data import reader

    @cache
    def images_of(name: str, subset: "Subset") -> "Images":
        found = reader(name)
        return found.at(data_here(data_root, [found]), subset, found.image_size).images

    def load(image_ids: Sequence[str]) -> list[Any]:
        pictures = []
        for image_id in image_ids:
            name, subset, position = image_id.rsplit("/", 2)
            images = images_of(name, "train" if subset == "train" else "test")
            picture = images[int(position) : int(position) + 1][0]
            pictures.append(picture.permute(1, 2, 0).numpy())
        return pictures

    return load
