"""`osr datasets`: which there are, what of each is here, and how to get it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from osr_core.errors import ConfigError, DataError, unknown_name
from sweeps.commands.listing import say, show
from sweeps.commands.options import (
    DEFAULT_HOME,
    DEFAULT_PROTOCOL,
    DataOption,
    HomeOption,
    JsonOption,
    data_here,
    with_store,
)
from sweeps.store.address import bucket_of

if TYPE_CHECKING:
    from osr_core.data.base import Benchmark, Subset

ONE = "show"  # the command that stands for a dataset's name


class NameOrCommand(TyperGroup):
    """`osr datasets cifar10` is `osr datasets show cifar10`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant, and its arguments."""
        return super().resolve_command(ctx, args if args[0] in self.commands else [ONE, *args])


datasets_app = typer.Typer(
    invoke_without_command=True,
    cls=NameOrCommand,
    subcommand_metavar="[NAME | fetch NAME | share NAME]",
)


@datasets_app.callback()
def datasets(
    context: typer.Context, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the datasets, and what of each is here; with NAME, show one in full."""
    from osr_core.data import BENCHMARKS, READERS
    from osr_core.data.inventory import inventory

    if context.invoked_subcommand is not None:
        return
    rows = inventory(data_here(data_root, READERS.values()), READERS)
    show(rows if as_json else [_short(row) for row in rows], as_json)
    if as_json:
        return
    _note_problems(rows)
    for name, pair in BENCHMARKS.items():
        if pair.known is not pair.unknown:
            typer.echo(_of_two(name, pair))
    typer.echo("All about one: osr datasets NAME")


@datasets_app.command(ONE, hidden=True)
def show_one(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As a spec names it.")],
    data_root: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell all about a dataset: classes, files, licence, protocols, and how to get it."""
    from osr_core.data import BENCHMARKS, READERS
    from osr_core.data.inventory import inventory

    above = context.parent.params if context.parent else {}
    given: str | None = data_root or above.get("data_root")
    as_json = as_json or above.get("as_json", False)
    readers = {name: READERS[name]} if name in READERS else {}
    if name in BENCHMARKS:
        pair = BENCHMARKS[name]
        readers = {reader.name: reader for reader in (pair.known, pair.unknown)}
    if not readers:
        raise ConfigError(unknown_name("dataset", name, {**BENCHMARKS, **READERS}))
    root = data_here(given, readers.values())
    rows = inventory(root, readers)
    if as_json:
        show(rows, True)
        return
    if len(readers) > 1:
        typer.echo(_of_two(name, pair))
    show([_long(row, root) for row in rows], False)
    _note_problems(rows)


@datasets_app.command("fetch")
def fetch_dataset(
    name: Annotated[str, typer.Argument(help="A reader's name, as `osr datasets` lists them.")],
    data_root: DataOption = None,
) -> None:
    """Download a dataset's published files into the data folder; run it again to go on."""
    from osr_core.data import reader
    from osr_core.data.fetch import fetch

    reader(name)  # or it is said which there are
    if data_root is None:
        raise ConfigError("say where to: --data-root FOLDER, or the variable OSR_DATA.")
    if bucket_of(data_root):
        raise ConfigError(
            f"files are fetched into a folder, not into '{data_root}'. Give --data-root FOLDER, "
            "and copy it into the bucket with your cloud's own tool."
        )
    for path in fetch(name, Path(data_root)):
        typer.echo(path)


@datasets_app.command("share")
def share_dataset(
    name: Annotated[str, typer.Argument(help="A reader's name, as `osr datasets` lists them.")],
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Put a dataset's files into the store, for machines that lack them; again to go on."""
    from osr_core.data import reader
    from sweeps.launch.share_data import share

    if data_root is None:
        raise ConfigError("say where they lie: --data-root FOLDER, or the variable OSR_DATA.")
    user_home = with_store(home)
    folder = data_here(data_root, [reader(name)]) or Path(data_root)
    sizes: list[int] = []
    num_files, is_new = share(name, folder, user_home, sizes.append)
    size = f"{num_files} file{'s' * (num_files != 1)}, {sum(sizes) / 1e6:.1f} MB"
    where = user_home.bucket or user_home.store
    typer.echo(f"{name} {'is now' if is_new else 'was'} in {where}: {size}")


def _of_two(name: str, pair: "Benchmark") -> str:
    """Where the classes of a spec's dataset come from."""
    return f"{name}: known classes of {pair.known.name}, unknown classes of {pair.unknown.name}"


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """What of a dataset's row fits a line."""
    about = {"dataset": row["reader"], "classes": row["classes"], "image": row["image"]}
    return {**about, "train": _state(row, "train"), "test": _state(row, "test"), "MB": _size(row)}


def _long(row: dict[str, Any], root: Path | None) -> dict[str, Any]:
    """All of a dataset's row, with how many images lie under the root."""
    from osr_core.data.fetch import downloads
    from osr_core.data.splits import protocols

    name, known_in = row["reader"], row["datasets"]
    families = [
        family for family, about in protocols().items() if {*known_in} & about.counts.keys()
    ]
    subsets: tuple[Subset, ...] = ("train", "test")
    here: dict[str, str] = {subset: _in_full(row, subset, root) for subset in subsets}
    fetched = f"osr datasets fetch {name}" if name in downloads() else None
    needed = not (row["train"] and row["test"]) or row["problems"]
    return {
        "dataset": name,
        "title": row["title"],
        "classes": row["classes"],
        "image": f"{row['image']} (channels x height x width)",
        **here,
        "MB": _size(row),
        "licence": row["licence"],
        "in specs": known_in,
        "protocols": families,
        "splits": _listing(known_in[0]) if known_in else None,
        "get it": (fetched or "put its files there: docs/datasets.md") if needed else "it is here",
    }


def _listing(name: str) -> str:
    """The command that lists a dataset's splits, by a protocol that has some."""
    from osr_core.data.splits import protocols

    own = [family for family, about in protocols().items() if name in about.counts]
    return f"osr splits {name}" + ("" if DEFAULT_PROTOCOL in own else f" --protocol {own[0]}")


def _state(row: dict[str, Any], subset: str) -> str:
    if row[subset]:
        return "here"
    return "broken" if subset in row["problems"] else "missing"


def _in_full(row: dict[str, Any], subset: "Subset", root: Path | None) -> str:
    """Whether a subset is here; how many images it has, and a hash of them."""
    from osr_core.data.checks import class_counts
    from sweeps.planning.data import more_published

    if not row[subset]:
        return _state(row, subset)
    name, classes = row["reader"], range(row["classes"] or 0)
    try:
        there = class_counts(root, name, subset).total()
    except DataError as error:
        row["problems"][subset] = str(error)
        return "broken"
    published = more_published(name, classes, there) if subset == "train" else None
    of = f" of {published:,} published" if published else ""
    return f"here, {there:,}{of} images, fingerprint {row[subset]}"


def _size(row: dict[str, Any]) -> int | None:
    return None if row["bytes"] is None else round(row["bytes"] / 1e6)


def _note_problems(rows: Sequence[dict[str, Any]]) -> None:
    problems = [problem for row in rows for problem in row["problems"].values()]
    for problem in dict.fromkeys(problems):
        say(f"note: {problem}", err=True)
