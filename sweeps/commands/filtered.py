"""Which part of a sweep a command is about: options that several take with the same meaning."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osr_core.errors import ConfigError, unknown_name
from sweeps.planning.filters import Facts, Filter, Meant

if TYPE_CHECKING:
    from sweeps.store.store import Store

StageArgument = Annotated[
    str | None,
    typer.Argument(help="The beginning of its id (see `osr status SWEEP`), or its name."),
]
PLACE = "given"  # the parameter of a command that takes the filter
OPTIONS: dict[str, Any] = {
    "method": Annotated[list[str] | None, typer.Option(help="Only trials of this method.")],
    "dataset": Annotated[list[str] | None, typer.Option(help="Only trials on this dataset.")],
    "split": Annotated[list[int] | None, typer.Option(help="Only trials on this split.")],
    "seed": Annotated[list[int] | None, typer.Option(help="Only trials with this seed.")],
    "kind": Annotated[list[str] | None, typer.Option(help="Only stages of this kind.")],
    "state": Annotated[
        list[str] | None,
        typer.Option(help="Only stages that are: done, begun, waiting, failed, cancelled."),
    ],
}
FailedOption = Annotated[bool, typer.Option("--failed", help="The same as --state failed.")]


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command whose parameter `given` is a Filter take it by options, each as often as one
    likes: values of one option are alternatives, and all options must hold.
    """

    @functools.wraps(command)
    def typed(*, failed: bool, **words: Any) -> None:
        values = {word: tuple(words.pop(word) or ()) for word in OPTIONS}
        values["state"] += ("failed",) * failed
        check_states(values["state"])
        command(**words, **{PLACE: Filter(**values)})

    own = inspect.signature(command)
    make = functools.partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    options = [make(word, default=None, annotation=option) for word, option in OPTIONS.items()]
    options.append(make("failed", default=False, annotation=FailedOption))
    kept = [each for name, each in own.parameters.items() if name != PLACE]
    typed.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    del typed.__annotations__[PLACE]
    return typed


def check_states(given: tuple[str, ...]) -> None:
    """ConfigError for a state that no stage can have."""
    from sweeps.store.states import State

    if wrong := [state for state in given if state not in [*State]]:
        raise ConfigError([unknown_name("state", state, State) for state in wrong])


def meant_of(store: "Store", record: Facts, given: Filter, stage: str | None = None) -> Meant:
    """What of a sweep a command is about.

    Raises:
        ConfigError: nothing, or not just one stage where one is named.
    """
    from sweeps.store.states import states

    given.check(record)
    sweep = record["sweep"]
    known = states(store, sweep, [each["stage_id"] for each in record["stages"]])
    found = Meant(record, given, known)
    if stage is not None:
        if given:
            raise ConfigError(f"give a stage, '{stage}', or a filter, {given}; not both.")
        return Meant(record, Filter(), known, stage_of_record(record, stage)["stage_id"])
    if given and not found.stages:
        raise ConfigError(f"no stage of sweep '{sweep}' fits {given}.")
    return found


def stage_of_record(record: Facts, stage: str) -> Facts:
    """What a plan's record says of the stage whose id begins with `stage`, or which is called so.

    Raises:
        ConfigError: there is none, or more than one.
    """
    stages = record["stages"]
    found = [each for each in stages if each["stage_id"].startswith(stage)]
    found = [each for each in stages if each["label"] == stage] or found
    if len(found) == 1:
        return dict(found[0])
    sweep = record["sweep"]
    if not found:
        raise ConfigError(
            f"no stage of sweep '{sweep}' is called '{stage}' or has an id that begins so. "
            f"`osr status {sweep}` shows the ids of those that are begun or failed."
        )
    shown = ", ".join(f"{each['stage_id'][:12]} ({each['label']})" for each in found[:3])
    raise ConfigError(
        f"{len(found)} stages of sweep '{sweep}' have an id that begins with "
        f"'{stage}', such as {shown}. Give more of it."
    )
