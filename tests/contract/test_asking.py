"""Whatever goes through batches asks whether it is to end: fits each epoch, the rest each batch."""

import dataclasses

import pytest
from blobs import TRAINING, Memory, Runs, context, shortened, trial

from osr_core.context import WEIGHTS
from osr_core.data.inner_splits import InnerSplit
from osr_core.execution import run_stage
from osr_core.kinds import FIT, GENERAL, NOOP
from osr_core.methods import METHODS

SHORT = shortened(TRAINING, epochs=1)


class EndedError(Exception):
    """Somebody has asked for it."""


class EndingLate(Memory):
    """Saves where it must, and ends a fit that has trained."""

    def due(self) -> bool:
        return False

    def between_batches(self) -> None:
        raise EndedError


class Ending(Memory):
    """Ends a stage when it first asks."""

    def due(self) -> bool:
        raise EndedError

    def between_batches(self) -> None:
        raise EndedError


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_stage_asks_whether_it_is_to_end(name: str, runs: Runs) -> None:
    """Scoring a million images takes long, and a user who stops it waits."""
    scored = trial(name, SHORT)
    chosen = dataclasses.replace(scored, inner=InnerSplit((), 0.25))
    stages = [*scored.score.walk(), chosen.last]
    looping = [stage for stage in stages if stage.kind in GENERAL.values()]
    assert {FIT.name, "score", "validate"} <= {stage.kind.name for stage in looping}
    assert NOOP not in [stage.kind for stage in looping]
    for stage in looping:
        with pytest.raises(EndedError):
            run_stage(stage.kind.name, stage.config, context(runs.inputs(stage), Ending()))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_fit_that_ends_after_its_training_is_not_trained_again(name: str, runs: Runs) -> None:
    """Calibrating and looking for lost logits can take longer than an epoch; no bit is another."""
    fit, checkpoint = runs.last_fit(trial(name, SHORT)), EndingLate()
    inputs = runs.inputs(fit)
    trained: list[int] = []
    with pytest.raises(EndedError):
        run_stage(fit.kind.name, fit.config, context(inputs, checkpoint))
    saved = Memory()
    saved.content = checkpoint.content
    told = context(inputs, saved, report=lambda epoch, row: trained.append(epoch))
    again = run_stage(fit.kind.name, fit.config, told)
    assert trained == []
    assert again.artifacts[WEIGHTS] == runs.result(fit).artifacts[WEIGHTS]
