"""A setting that shapes the weights reaches every stage that holds them."""

import dataclasses
from typing import Any

import pytest
import torch
from blobs import SETTINGS, TRAINING, Runs, context, shortened, trial

from osr_core.config import ConfigError, as_dict
from osr_core.execution import SCORES, untrained
from osr_core.methods import METHODS

SHORT = shortened(TRAINING, epochs=1)
SHAPED = {"arpl_cs", "c2ae", "center", "cgdl", "cpn", "crosr", "cssr", "medaf", "openhybrid"}
SHAPED |= {"pmal", "proser", "rpl", "rplpp"}


def shapes(name: str, settings: dict[str, Any]) -> dict[str, torch.Size]:
    """Of all weights of a method as it is scored."""
    method = untrained(context({}), trial(name, SHORT, settings).score.config, 3)
    return {key: tensor.shape for key, tensor in method.state_dict().items()}


def others(field: dataclasses.Field[Any], value: Any) -> list[Any]:
    """What a setting may be instead."""
    if field.metadata["choices"]:
        return [each for each in field.metadata["choices"] if each != value]
    if isinstance(value, bool):
        return [not value]
    return [2 * value, value / 2] if isinstance(value, float) else [value + 1]


def shaping(name: str) -> list[dict[str, Any]]:
    """The contract's settings of a method with one changed that shapes its weights."""
    usual = SETTINGS.get(name, {})
    values = as_dict(dataclasses.replace(METHODS[name].Config(), **usual))
    found = []
    for field in dataclasses.fields(METHODS[name].Config):
        for value in others(field, values[field.name]):
            changed = {**usual, field.name: value}
            try:
                shaped = shapes(name, changed) != shapes(name, usual)
            except ConfigError:  # out of its range
                continue
            if shaped:
                found.append(changed)
                break
    return found


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_stage_knows_what_shapes_the_weights(name: str, runs: Runs) -> None:
    """CROSR's and CGDL's calibrations had the default's shapes, after all of the training."""
    changed = shaping(name)
    for settings in changed:
        score = trial(name, SHORT, settings).score
        assert SCORES in runs.result(score).artifacts
    assert (name in SHAPED) == bool(changed)
