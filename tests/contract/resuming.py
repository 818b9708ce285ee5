"""Stages that are killed, and go on from what they have saved."""

import pytest
from blobs import Memory, Runs, context

from osr_core.execution import HISTORY, WEIGHTS, run_stage
from osr_core.stage import Stage
from tests.plain import history


class KilledError(Exception):
    """What a preempted machine looks like from inside."""


class Stopping(Memory):
    """Ends the stage at the n-th time that it saves."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def save(self, content: bytes) -> None:
        super().save(content)
        self.left -= 1
        if not self.left:
            raise KilledError


def saved_until(at: int, stage: Stage, runs: Runs) -> Memory:
    """What a stage has left that was ended at the n-th time that it saved."""
    stopping, memory = Stopping(at), Memory()
    with pytest.raises(KilledError):
        run_stage(stage.kind.name, stage.config, context(runs.inputs(stage), stopping))
    memory.content = stopping.content
    return memory


def assert_resumable(stage: Stage, runs: Runs) -> None:
    """Kill a fit of four epochs in the third, before it is saved, and go on from the second."""
    inputs, memory = runs.inputs(stage), Memory()
    whole = run_stage(stage.kind.name, stage.config, context(inputs))

    def killed_in_third_epoch(epoch: int, row: object) -> None:
        if epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run_stage(stage.kind.name, stage.config, context(inputs, memory, killed_in_third_epoch))
    epochs: list[int] = []
    report = lambda epoch, row: epochs.append(epoch)  # noqa: E731
    resumed = run_stage(stage.kind.name, stage.config, context(inputs, memory, report))
    assert epochs == [3, 4]
    assert resumed.artifacts[WEIGHTS] == whole.artifacts[WEIGHTS]
    assert history(resumed.artifacts[HISTORY]) == history(whole.artifacts[HISTORY])
