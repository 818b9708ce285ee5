"""The commands that look ahead: `osr plan` and `osr cost`. They start nothing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError
from osr_core.wording import amount, of_hours, operations
from sweeps.commands.listing import say, show
from sweeps.commands.options import (
    DEFAULT_HOME,
    DataOption,
    HomeOption,
    JsonOption,
    OutputOption,
    data_here,
    with_store,
)
from sweeps.commands.run import SpecArgument
from sweeps.home import Home

OF_THE_SAME = "of the same kind, method, data set and network"
NAMED = 4  # sorts of stages of which nothing is known; of more, how many there are
IN_WORDS: Mapping[str, tuple[str, Callable[[float], str]]] = {  # columns: headings, how written
    "epochs": ("epochs", amount),
    "image_passes": ("image passes", amount),
    "flops": ("operations", operations),
    "hours": ("time", of_hours),
    "at_least": ("at least", of_hours),
    "at_most": ("at most", of_hours),
    "GPU hours": ("GPU time", of_hours),
}

if TYPE_CHECKING:
    from sweeps.launch.differences import Differences
    from sweeps.launch.outlook import Outlook


def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every image file again, changed or not.")
    ] = False,
    stages: Annotated[bool, typer.Option("--stages", help="List stages and shared fits.")] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="List what differs from the sweep of this name in the store."),
    ] = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a sweep costs and how much of it is done. Starts nothing.

    The file that --output writes can be reviewed and run: osr run PLAN.json.
    """
    from osr_core.data.memory import forget
    from sweeps.launch.data_folder import readers_of
    from sweeps.launch.outlook import outlook
    from sweeps.planning.spec import load_spec

    loaded = load_spec(spec)
    if rehash:
        forget()
    user_home = with_store(home)
    ahead = outlook(loaded, user_home, data_here(data_root, readers_of(loaded.datasets)))
    listed = stage_rows(ahead, user_home) if stages else []
    different = differences_of(ahead, user_home) if diff else None
    if output is not None:
        write_plan(output, ahead, user_home)
    if as_json:
        facts = ahead.facts() | ({"stage_list": listed} if stages else {})
        if different is not None:
            changed = [each._asdict() for each in different.changed]
            facts["diff"] = different._asdict() | {"changed": changed}
        typer.echo(json.dumps(facts, indent=2))
        return
    tell_counts(ahead)
    tell_estimate(ahead)
    tell_notes(ahead)
    if stages:
        show(listed, False, title="stages")
        tell_shared(ahead)
    if different is not None:
        tell_differences(different)
    if output is not None:
        typer.echo(f"The plan is in {output}. Run it as it is: osr run {output}")


def tell_counts(ahead: "Outlook") -> None:
    """Print what the sweep costs."""
    from sweeps.launch.outlook import MEANINGS

    counts = ahead.counts
    rows = [
        {"": heading.replace("_", " "), "count": count, "meaning": meaning}
        for name, meaning in MEANINGS.items()
        for heading, count in in_words({name: counts[name]}).items()
    ]
    show(rows, False, title=f"sweep {ahead.plan.spec.name}")
    if searches := ahead.searches:
        shown = [
            in_words({key: row[key] for key in row if key != "image_passes"}) for row in searches
        ]
        show(shown, False, title="searches: at most this much more")
        say(
            "This counts every candidate on every split and seed, and the training of the chosen "
            "ones afterwards, each with the most costly settings of the space. Stages that all "
            "candidates share count once. Pruning, budgets and stages that only some candidates "
            "share make it less."
        )


def in_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for people: 3.958e8 image passes are 396 million, and 0.003943 hours are 14 s."""
    told = {}
    for name, value in row.items():
        if name in IN_WORDS:
            name, written = IN_WORDS[name]
            value = None if value is None else written(value)
        told[name] = value
    return told


def tell_estimate(ahead: "Outlook") -> None:
    """Print how long what is to run will take, where that is known."""
    shares, unknown = ahead.estimate.shares, ahead.estimate.unknown
    if shares:
        rows = [in_words(each._asdict()) for each in shares]
        show(rows, False, title="estimate of what is to run")
        say(
            "The time is that of one GPU, or on a CPU of one stage at a time. It rests on what "
            f"finished stages {OF_THE_SAME} took for each epoch: their mean, the least and the "
            "most."
        )
    if unknown:
        named = ", ".join(f"{count} x {name}" for name, count in [*unknown.items()][:NAMED])
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        say(f"time not known: {named}{more}. The store has no finished stage {OF_THE_SAME}.")


def tell_notes(ahead: "Outlook") -> None:
    """Print what a user should know besides."""
    from sweeps.launch.caution import LARGE
    from sweeps.launch.changed import in_words

    for left_out in ahead.plan.spec.missing:
        say(f"left out: {left_out}")
    if ahead.first:
        say(
            f"{LARGE} trials or more: one of each method goes first, its others when that is done: "
            f"{', '.join(ahead.first)}. `osr run --no-canary` begins all at once."
        )
    for remark in ahead.remarks:
        say(f"note: {remark}", err=True)
    if ahead.missing_data:
        say("note: what is done is not known without the data.", err=True)
        say(ahead.missing_data, err=True)
    if ahead.changed:
        told = in_words(ahead.plan, ahead.changed)
        say(f"note: {told} `osr run` asks whether to compute them again.", err=True)
    if ahead.name_taken:
        say(f"note: `osr run` would refuse this: {ahead.name_taken}", err=True)


def stage_rows(ahead: "Outlook", home: Home) -> list[dict[str, Any]]:
    """A row for each stage of a plan, inputs before users."""
    from sweeps.store.states import State, states
    from sweeps.store.store import Store

    plan, store = ahead.plan, Store.existing(home.store)
    known = dict.fromkeys(plan.stages, State.WAITING)
    if store is not None and not ahead.missing_data:
        known = states(store, plan.spec.name, plan.stages)
    to_run = {stage.id for stage in ahead.todo}
    return [
        {
            "id": stage.id[:8],
            "stage": plan.describe(stage),
            "state": str(known[stage.id]),
            "to_run": stage.id in to_run,
            "trials": len(plan.trials_of[stage.id]),
        }
        for stage in plan.stages.values()
    ]


def tell_shared(ahead: "Outlook") -> None:
    """Print which trials use the fits that more than one uses."""
    from sweeps.planning.shared_fits import shared_fits

    rows = [{**row, "used_by": ", ".join(row["used_by"])} for row in shared_fits(ahead.plan)]
    if rows:
        show(rows, False, title="fits that more than one trial uses")


def differences_of(ahead: "Outlook", home: Home) -> "Differences":
    """What tells a plan from its sweep's record; without the data, as if they had not changed."""
    from sweeps.launch.differences import differences
    from sweeps.planning.plan import make_plan
    from sweeps.store.store import Store

    plan, store = ahead.plan, Store.existing(home.store)
    record = store.sweep(plan.spec.name) if store is not None else None
    if record is None:
        raise ConfigError(
            f"no sweep '{plan.spec.name}' was run in store {home.store}, so there is nothing to "
            "compare with."
        )
    if ahead.missing_data:
        plan = make_plan(plan.spec, {**plan.fingerprints, **record["fingerprints"]})
    return differences(record, plan)


def tell_differences(found: "Differences") -> None:
    """Print which trials are new, gone and changed, and by what."""
    from sweeps.launch.differences import grouped

    typer.echo(
        f"beside the sweep in the store: {len(found.new)} trials are new, {len(found.gone)} gone, "
        f"{len(found.changed)} changed, {found.kept} as they were"
    )
    for label in found.new:
        typer.echo(f"new      {label}")
    for label in found.gone:
        typer.echo(f"gone     {label}")
    for why, labels in grouped(found.changed):
        for label in labels:
            typer.echo(f"changed  {label}: {why}")


def write_plan(path: Path, ahead: "Outlook", home: Home) -> None:
    """Leave a plan for review."""
    from sweeps.launch.code_version import code_version
    from sweeps.launch.reviewed import SUFFIX, Reviewed

    if path.suffix != SUFFIX:
        raise ConfigError(f"a plan's file ends in {SUFFIX}, unlike '{path}'.")
    Reviewed.of(path, ahead, home.store, code_version()).write()


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
    told = rows if as_json else [in_words(row) for row in rows]
    show(told, as_json, title=f"at {tflops:g} TFLOP/s")
