"""What comes from elsewhere, and goes there: `osr import` and `osr weights`. Ray is not started."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.commands.options import (
    DEFAULT_HOME,
    DataOption,
    HomeOption,
    data_here,
    named,
    with_store,
)
from sweeps.commands.results import draw_pictures
from sweeps.commands.store import sweep_record
from sweeps.home import Home, expanded

if TYPE_CHECKING:
    from osr_core.data.splits import ClassSplit
    from sweeps.launch.imports import Brought
    from sweeps.planning.plan import Plan
    from sweeps.planning.spec import SweepSpec
    from sweeps.store.store import Store

app = typer.Typer(
    no_args_is_help=True, help="Bring in scores or networks that were made elsewhere."
)

FileArgument = Annotated[Path, typer.Argument(parser=named, metavar="FILE")]
SpecOption = Annotated[
    str,
    typer.Option(help="The sweep to import into: its spec, or the name of a sweep that was run."),
]
DatasetOption = Annotated[str, typer.Option(help="The dataset; default: the spec's only one.")]
ProtocolOption = Annotated[str, typer.Option(help="The split's protocol; default: the spec's.")]
SplitOption = Annotated[
    int | None, typer.Option(help="The split's number; default: the spec's only one.")
]
SourceOption = Annotated[str, typer.Option(help="The web address that the file comes from.")]
LicenceOption = Annotated[str, typer.Option(help="The licence of the file.")]
MethodsOption = Annotated[
    list[str] | None, typer.Option(help="Methods of the spec that take the network; default: all.")
]
NamesOption = Annotated[
    Path | None,
    typer.Option(parser=named, metavar="FILE", help="YAML: their names of tensors -> ours."),
]
EntryOption = Annotated[str, typer.Option(help="Which part of a checkpoint has the weights.")]
MeanOption = Annotated[
    str, typer.Option(help="Mean that images in [0, 1] are normalised by, per channel: 0.5,0.5,0.5")
]
StdOption = Annotated[
    str, typer.Option(help="Deviation that they are then divided by, per channel.")
]
AnchorsOption = Annotated[
    str,
    typer.Option(
        help="For CAC and others, which anchors: stored (those in FILE) or recompute (from the "
        "images)."
    ),
]
LabelOption = Annotated[
    str, typer.Option(help="A name that tells this import from others in tables.")
]


@app.command()
def scores(
    file: FileArgument,
    spec: SpecOption,
    method: Annotated[str, typer.Option(help="What made them; any name.")],
    dataset: DatasetOption = "",
    protocol: ProtocolOption = "",
    split: SplitOption = None,
    source: SourceOption = "",
    licence: LicenceOption = "",
    label: LabelOption = "",
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Put scores of test images that were made elsewhere into a sweep, as a trial marked imported.

    FILE is Parquet with the columns image_id, label, unknown_score and logits (docs/imports.md).
    """
    from osr_core.imported import SCORES, Imported, digest_of
    from osr_core.scores_import import TABLE
    from sweeps.launch.imports import bring
    from sweeps.planning.imports import with_scores

    content = content_of(file)
    user_home = with_store(home)
    plan, meant, root = place(spec, user_home, data_root, dataset, protocol, split)
    imported = Imported(
        what=SCORES,
        file=file.name,
        sha256=digest_of(content),
        source=source,
        licence=licence,
        label=label,
    )
    trial = with_scores(method, meant, plan.fingerprints, imported)
    given = {TABLE: content}
    say(bring(plan.spec, [trial], given, user_home, root, draw_pictures), plan)


@app.command()
def weights(
    file: FileArgument,
    spec: SpecOption,
    method: MethodsOption = None,
    dataset: DatasetOption = "",
    protocol: ProtocolOption = "",
    split: SplitOption = None,
    names: NamesOption = None,
    entry: EntryOption = "",
    mean: MeanOption = "",
    std: StdOption = "",
    anchors: AnchorsOption = "",
    source: SourceOption = "",
    licence: LicenceOption = "",
    label: LabelOption = "",
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Take a network that was trained elsewhere for one of ours; calibrate and score it.

    FILE is a state dict: safetensors, or a .pth, in which no code is run (docs/imports.md).
    """
    from osr_core.imported import WEIGHTS, Imported, digest_of
    from osr_core.tensors import to_bytes
    from osr_core.weights_import import read_weights
    from sweeps.launch.imports import bring
    from sweeps.planning.imports import entries_of, with_weights

    content = content_of(file)
    tensors = read_weights(content, file.name, entry)
    user_home = with_store(home)
    plan, meant, root = place(spec, user_home, data_root, dataset, protocol, split)
    imported = Imported(
        what=WEIGHTS,
        file=file.name,
        sha256=digest_of(content),
        source=source,
        licence=licence,
        label=label,
        entry=entry,
        names=names_in(names),
        normalization=normalization(mean, std),
        anchors=anchors,
    )
    own = (meant, plan.spec.seeds[0], plan.fingerprints, imported)
    trials = [with_weights(each, *own) for each in entries_of(plan.spec, meant, method or ())]
    given = {"weights.safetensors": to_bytes(tensors)}
    say(bring(plan.spec, trials, given, user_home, root, draw_pictures), plan)


def content_of(file: Path) -> bytes:
    """A file's bytes; ConfigError if it cannot be read."""
    try:
        return expanded(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def place(
    spec: str,
    user_home: Home,
    data_root: str | None,
    dataset: str,
    protocol: str,
    split: int | None,
) -> "tuple[Plan, ClassSplit, Path | None]":
    """The sweep that an import goes into, the one split that it is about, and its data's folder.

    Raises:
        ConfigError: the spec has several datasets or splits, and none is named; none of that name.
    """
    from sweeps.launch.data_folder import readers_of
    from sweeps.launch.imports import sweep_of
    from sweeps.store.store import Store

    store = Store(user_home.store)
    loaded = spec_meant(spec, store)
    choices = (
        ("--dataset", dataset or None, loaded.datasets),
        ("--split", split, loaded.splits),
    )
    chosen: list[Any] = []
    for option, given, there in choices:
        if given is None and len(there) > 1:
            listed = ", ".join(map(str, there))
            raise ConfigError(f"sweep '{loaded.name}' has several: say {option}, one of {listed}.")
        chosen.append(there[0] if given is None else given)
    root = data_here(data_root, readers_of([chosen[0]]))
    plan = sweep_of(loaded, store, root, chosen[0])
    return plan, plan.spec.split(chosen[0], protocol or loaded.protocol, chosen[1]), root


def spec_meant(given: str, store: "Store") -> "SweepSpec":
    """A spec by its file or its packaged name, or that of a sweep in the store."""
    from sweeps.planning.record import plan_of
    from sweeps.planning.spec import load_spec, packaged_specs

    if given in store.sweeps():
        return plan_of(sweep_record(store, given)).spec
    if "/" not in given and not given.endswith((".yaml", ".yml")) and given not in packaged_specs():
        raise ConfigError(
            unknown_name("sweep or spec", given, [*store.sweeps(), *packaged_specs()])
        )
    return load_spec(given)


def names_in(file: Path | None) -> dict[str, str | None]:
    """Their names -> ours, as a YAML file has them.

    Raises:
        ConfigError: no mapping of names to names, or to nothing.
    """
    from sweeps.planning.yaml_values import read_yaml

    if file is None:
        return {}
    found = read_yaml(expanded(file))
    if not isinstance(found, dict) or not all(
        isinstance(key, str) and (value is None or isinstance(value, str))
        for key, value in found.items()
    ):
        raise ConfigError(
            f"{file} must map names to names, such as 'fc.: head.', or to null for what is left "
            "out."
        )
    return found


def normalization(mean: str, std: str) -> dict[str, list[float]] | None:
    """What --mean and --std say; None: the file itself says it.

    Raises:
        ConfigError: one without the other, not as many, no finite numbers, or a std that is not
            above 0.
    """
    from torch import tensor  # as float32, in which images are normalised

    if not mean and not std:
        return None
    try:
        found = {"mean": [*map(float, mean.split(","))], "std": [*map(float, std.split(","))]}
    except ValueError:
        raise ConfigError(
            f"--mean and --std are numbers with commas between them, such as 0.49,0.48,0.45; not "
            f"'{mean}' and '{std}'."
        ) from None
    if len(found["mean"]) != len(found["std"]) or tensor(found["std"]).min() <= 0:
        raise ConfigError("--mean and --std have a number for each channel, and std is above 0.")
    if not all(tensor(values).isfinite().all() for values in found.values()):
        raise ConfigError(f"--mean and --std are finite numbers; not '{mean}' and '{std}'.")
    return found


def say(brought: "Brought", plan: "Plan") -> None:
    """What was taken in, what was left over, and what it came to."""
    from osr_core.wording import origin

    told = [origin(trial.imported.plain()) for trial in brought.trials if trial.imported]
    typer.echo("\n".join(dict.fromkeys(told)))
    if brought.left_over:
        typer.echo(f"left over, without a place: {', '.join(brought.left_over)}")
    for trial in brought.trials:
        metrics = brought.metrics[trial.id]
        shown = [f"{name} {100 * metrics[f'test/{name}']:.1f} %" for name in ("accuracy", "auroc")]
        typer.echo(f"{trial.title} {trial.split.id}: {', '.join(shown)}")
    name = plan.spec.name
    typer.echo(f"it stands in sweep '{name}': osr export {name}; osr table {name}")


def taken_out(
    trial: Annotated[str, typer.Argument(help='"cac digits/3", or how its id begins.')],
    sweep: Annotated[str, typer.Option(help="The sweep's name.")],
    output: Annotated[Path, typer.Option(parser=named, metavar="PATH", help="File to write.")],
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Write a trained network as safetensors, with how to use it in the file's metadata.

    It has the trial's method and network, the normalisation and the names of the classes.
    """
    from sweeps.launch.networks import weights_of

    content = weights_of(trial, sweep, with_store(home), data_root)
    path = expanded(output)
    path.write_bytes(content)
    typer.echo(f"{path} ({len(content) / 1e6:.1f} MB)")
