"""A fit in legs ends where the fit ends that is made at once, bit for bit on the CPU."""

from dataclasses import replace

import pytest
import torch
from blobs import VARIANTS, Memory, Runs, context, shortened, trial
from resuming import KilledError
from test_methods import SCHEDULES

from osr_core.context import HISTORY, STATE, WEIGHTS
from osr_core.errors import ConfigError
from osr_core.execution import run_stage
from osr_core.legs import BEGUN, in_legs, last_fits
from osr_core.methods import METHODS, learner_named
from osr_core.stage import Stage
from osr_core.tensors import from_bytes
from tests.plain import history

NAMED = ("softmax", "cac", "arpl_cs")  # the last has three optimisers
ENDS = (1, 3, None)  # of four epochs


def legs_of(stage: Stage) -> list[Stage]:
    """A leg and those before it, in the order in which they are made."""
    before = stage.inputs.get(BEGUN)
    return [*(legs_of(before) if before else []), stage]


def assert_same(name: str, schedule: str, runs: Runs) -> None:
    """Weights and history of the legs against those of the fit made at once."""
    asked = trial(name, SCHEDULES[schedule])
    (whole,) = last_fits(asked.model)
    (last,) = last_fits(replace(asked, ends=ENDS).model)
    legs = legs_of(last)
    at_once, parts = runs.result(whole), [runs.result(leg) for leg in legs]
    assert parts[-1].artifacts[WEIGHTS] == at_once.artifacts[WEIGHTS]
    rows = [row for part in parts for row in history(part.artifacts[HISTORY])]
    assert rows == history(at_once.artifacts[HISTORY])
    assert [STATE in part.artifacts for part in parts] == [True, True, False]
    assert parts[-1].metrics == at_once.metrics


@pytest.mark.parametrize("name", [*METHODS, *VARIANTS])
def test_last_leg_leaves_what_the_whole_fit_leaves(name: str, runs: Runs) -> None:
    """Every method, and those that score with another's fit."""
    assert_same(name, "sgd", runs)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES.keys() - {"sgd"}))
def test_no_schedule_knows_of_legs(name: str, schedule: str, runs: Runs) -> None:
    """Adam's moments, kept weights and a restart from them pass from leg to leg."""
    assert_same(name, schedule, runs)


@pytest.mark.parametrize("name", NAMED)
def test_a_leg_that_is_killed_goes_on(name: str, runs: Runs) -> None:
    """Its checkpoint comes before the state that the leg began with."""
    (leg,) = last_fits(replace(trial(name, SCHEDULES["sgd"]), ends=(1, None)).model)
    memory = Memory()

    def killed_in_third_epoch(epoch: int, row: object) -> None:
        if epoch == 3:
            raise KilledError

    inputs = runs.inputs(leg)
    with pytest.raises(KilledError):
        run_stage("fit", leg.config, context(inputs, memory, killed_in_third_epoch))
    epochs: list[int] = []
    report = lambda epoch, row: epochs.append(epoch)  # noqa: E731
    resumed = run_stage("fit", leg.config, context(inputs, memory, report))
    assert epochs == [3, 4]
    assert resumed.artifacts[WEIGHTS] == runs.result(leg).artifacts[WEIGHTS]


def test_weights_at_a_rung_are_those_of_that_epoch(runs: Runs) -> None:
    """With the learning rates of the whole schedule; a fit of one epoch ends elsewhere."""
    asked = trial("softmax", SCHEDULES["sgd"])
    (leg,) = last_fits(replace(asked, ends=(3,)).model)
    (short,) = last_fits(trial("softmax", shortened(SCHEDULES["sgd"], epochs=3)).model)
    at_rung, alone = (from_bytes(runs.result(each).artifacts[WEIGHTS])[0] for each in (leg, short))
    state, header = from_bytes(runs.result(leg).artifacts[STATE])
    assert header["progress"]["epoch"] == 3
    assert all(torch.equal(state[f"method/{name}"], tensor) for name, tensor in at_rung.items())
    assert any(not torch.equal(alone[name], tensor) for name, tensor in at_rung.items())


def test_of_fits_in_a_row_only_the_last_is_in_legs() -> None:
    """What a fit starts from is whole; else its legs would not go on from one another."""
    asked = trial("proser", SCHEDULES["sgd"])
    (last,) = last_fits(replace(asked, ends=ENDS).model)
    assert [leg.config["leg"] for leg in legs_of(last)] == [[0, 1], [1, 3], [3, 4]]
    assert [leg.effort for leg in legs_of(last)] == [1, 2, 1]
    classifiers = {leg.inputs["classifier"].id for leg in legs_of(last)}
    assert classifiers == {asked.model.inputs["classifier"].id}
    first = next(last_fits(replace(asked, ends=(1,)).model))
    assert first.id == legs_of(last)[0].id


@pytest.mark.parametrize("name", METHODS)
def test_a_leg_costs_what_a_fit_of_its_epochs_costs(name: str) -> None:
    """Not what the whole schedule costs: a plan with rungs adds up its legs."""
    asked = trial(name, SCHEDULES["sgd"])
    (last,) = last_fits(replace(asked, ends=ENDS).model)
    learner = learner_named(last.config["method"]["name"])
    for leg in legs_of(last):
        training = {**leg.config["training"], "epochs": int(leg.effort)}
        config = {k: v for k, v in leg.config.items() if k != "leg"} | {"training": training}
        alone = replace(leg, config=config)
        assert learner.further_flops(leg, 100) == learner.further_flops(alone, 100)


@pytest.mark.parametrize("ends", [(0,), (4,), (5, None), (3, 2), (2, 2)])
def test_a_leg_ends_within_the_schedule_and_after_the_one_before(ends: tuple[int, ...]) -> None:
    """Of four epochs."""
    with pytest.raises(ConfigError, match="a leg cannot end after epoch"):
        in_legs(trial("softmax", SCHEDULES["sgd"]).model, ends)


def test_without_rungs_a_trial_is_what_it_was() -> None:
    """No leg in its config, and so no other id."""
    asked = trial("cac", SCHEDULES["sgd"])
    assert asked.model.id == asked.method.recipe(asked).id
    assert "leg" not in asked.model.config
