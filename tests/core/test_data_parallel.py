"""One fit by several processes on CPUs is the fit by one."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import psutil
import pytest
from torch import Tensor

from osr_core.context import WEIGHTS
from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from osr_core.execution import run_stage
from osr_core.processes import ProcessDiedError
from osr_core.stage import Stage
from osr_core.tensors import from_bytes
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec
from tests.faults.harness import ROOT, wait_until
from tests.plain import NoCheckpoint, context

SPEC: dict[str, Any] = {
    "name": "parallel",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125, "dropout": 0.0},  # which each process draws for itself
    "training": {
        "epochs": 2,
        "lr": 0.001,  # a larger one makes much of the last bits, as it does of two threads'
        "batch_size": 101,  # parts of 51 and 50; the last batch has fewer
        "warmup_epochs": 0,
        "validation": 0.2,
        "augmentation": {"crop_padding": 1, "rotation": 10.0, "randaugment_ops": 1},
    },
    "methods": {"softmax": {}, "cac": {}},
}
TOLERANCE = 0.1  # of the way that the weights have come; other draws or other means: 0.4 and more


def fit_of(method: str, **training: Any) -> Stage:
    """The fit of a method on digits."""
    spec = parse_spec({**SPEC, "training": {**SPEC["training"], **training}}, "spec")
    plan = make_plan(spec, fingerprints(None, benchmark("digits")))
    (fit,) = (
        stage
        for stage in plan.stages.values()
        if stage.kind.trains and stage.config["method"]["name"] == method
    )
    return fit


class StoppedError(Exception):
    """What ends a fit that has saved its state."""


def stop() -> None:
    """End a fit."""
    raise StoppedError


def others(first: psutil.Process) -> list[psutil.Process]:
    """The processes that train together with the first one."""
    return [each for each in first.children() if "osr_core.processes" in " ".join(each.cmdline())]


class Saving(NoCheckpoint):
    """Goes on from what is given, saves after each epoch, and may end the first attempt then."""

    def __init__(self, state: bytes | None = None, then: Callable[[], None] = lambda: None) -> None:
        self.state, self.then = state, then

    def load(self) -> bytes | None:
        return self.state

    def due(self) -> bool:
        return True

    def save(self, content: bytes) -> None:
        self.state = content
        self.then()


def weights(fit: Stage, num_processes: int, checkpoint: NoCheckpoint) -> Mapping[str, Tensor]:
    """What so many processes make of a fit."""
    given = replace(context({}), num_processes=num_processes, checkpoint=checkpoint)
    return from_bytes(run_stage("fit", fit.config, given).artifacts[WEIGHTS])[0]


def apart(fit: Stage, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """How far weights are from each other, against how far they are from where they began."""
    still = replace(fit, config={**fit.config, "training": {**fit.config["training"], "lr": 1e-12}})
    begun = weights(still, 1, NoCheckpoint())
    return distance(ours, theirs) / distance(begun, theirs)


def distance(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Of all numbers of two networks, Euclidean."""
    assert ours.keys() == theirs.keys()
    return math.sqrt(
        sum(float((ours[name].double() - theirs[name]).square().sum()) for name in ours)
    )


@pytest.mark.parametrize("method", ["softmax", "cac"])
def test_two_processes_take_the_steps_of_one(method: str) -> None:
    """At the same batches: order, changes of images, batch norms and gradients are the whole's."""
    fit = fit_of(method)
    alone, both = (weights(fit, number, NoCheckpoint()) for number in (1, 2))
    assert apart(fit, both, alone) < TOLERANCE


def test_a_fit_goes_on_by_more_or_fewer_processes() -> None:
    """From the state that another number of them has left."""
    fit = fit_of("softmax")
    whole, begun = weights(fit, 1, NoCheckpoint()), Saving(then=stop)
    with pytest.raises(StoppedError):
        weights(fit, 2, begun)
    assert not others(psutil.Process()), "the others have not ended"
    for num_processes in (1, 3):
        assert apart(fit, weights(fit, num_processes, Saving(begun.state)), whole) < TOLERANCE


@pytest.mark.faults
@pytest.mark.brief
def test_a_process_that_dies_ends_the_attempt_with_its_words() -> None:
    """And so that it can be repeated: nobody waits for it."""

    def kill() -> None:
        for other in others(psutil.Process()):
            other.kill()

    with pytest.raises(ProcessDiedError, match="of 2 processes that train one network, number 1"):
        weights(fit_of("softmax", epochs=50), 2, Saving(then=kill))


@pytest.mark.faults
def test_the_others_end_with_the_first() -> None:
    """SIGKILL leaves it no time to tell them."""
    code = (
        "from tests.core.test_data_parallel import *\n"
        "weights(fit_of('softmax', epochs=5000), 2, NoCheckpoint())\n"
    )
    first = psutil.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(lambda: others(first) and others(first)[0].cpu_times().user > 3, "the other")
    (other,) = others(first)
    first.kill()
    first.wait()
    wait_until(lambda: not other.is_running(), "the other's end", timeout=60)
