"""Legs: a fit that is made in parts, each a stage of its own.

A leg trains some epochs of the whole schedule, goes on from the state that the leg before it left,
and leaves weights to score with and a state to go on from. The last leg leaves on the CPU, bit for
bit, what the fit leaves that is made at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from osr_core.errors import ConfigError
from osr_core.kinds import FIT
from osr_core.stage import Stage

BEGUN = "begun"  # the role of the leg before


def in_legs(model: Stage, ends: Sequence[int | None]) -> Stage:
    """What leaves the weights of `model`, its last fits made in legs.

    `ends` are the epochs after which legs end, ascending; None is the end of the schedule. Without
    any, `model` itself. Where the last of them is an epoch, these are the weights after that epoch.

    Raises:
        ConfigError: a leg that would not end before the schedule does.
    """
    if not ends or (model.kind.trains and model.kind != FIT):
        return model
    if model.kind != FIT:
        inputs = {role: in_legs(upstream, ends) for role, upstream in model.inputs.items()}
        return replace(model, inputs=inputs)
    epochs, start = model.config["training"]["epochs"], 0
    inputs = dict(model.inputs)
    for end in ends:
        if end is not None and not start < end < epochs:
            raise ConfigError(f"a leg cannot end after epoch {end} of a fit of {epochs} epochs.")
        leg = [start, end or epochs]
        made = Stage(kind=FIT, config={**model.config, "leg": leg}, inputs=inputs)
        inputs, start = {**model.inputs, BEGUN: made}, leg[1]
    return made


def last_fits(model: Stage) -> Iterator[Stage]:
    """The fits that `in_legs` would make in parts: of several one after the other, the last."""
    if model.kind == FIT:
        yield model
    elif not model.kind.trains:
        for upstream in model.inputs.values():
            yield from last_fits(upstream)
