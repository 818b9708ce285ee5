"""Steps that are recorded and replayed train as steps as they are, for every learner.

There is no GPU here: a stand-in does on the CPU what a CUDA graph does (recorder.py). Optimisers
are those of a GPU, fused and with their rate in a tensor.
"""

from functools import cache

import pytest
from blobs import SETTINGS, Memory, Runs, context, trial
from recorder import Recorder
from resuming import saved_until

from osr_core.execution import HISTORY, WEIGHTS, Result, run_stage
from osr_core.graphs import VARIABLE
from osr_core.methods import METHODS
from osr_core.recipes import Augmentation, Training
from osr_core.stage import Stage
from tests.plain import history

SCHEDULES = {
    "sgd": Training(  # every rate another; held-out images, a restart, a last batch of six
        epochs=4,
        batch_size=18,
        lr=0.05,
        drops=(0.25,),
        restart_at_drops=True,
        validation=0.2,
        keep="accuracy",
        augmentation=Augmentation(rotation=10.0, scale=0.8, crop_padding=1, flip=True),
    ),
    "adam": Training(  # images that RandAugment has changed before
        epochs=4,
        batch_size=16,
        optimizer="adam",
        lr=0.01,
        augmentation=Augmentation(randaugment_ops=1),
    ),
}
AS_THEY_ARE = {"proser"}  # learners whose steps are never recorded


@cache
def fits(schedule: str) -> dict[str, Stage]:
    """One of each learner that any method trains; PMAL's looks at its prototypes within epochs."""
    settings = {"pmal": {**SETTINGS["pmal"], "embed_every": 2}}
    trials = (trial(name, SCHEDULES[schedule], settings.get(name)) for name in METHODS)
    walked = (stage for each in trials for stage in each.score.walk())
    return {stage.config["method"]["name"]: stage for stage in walked if stage.kind.trains}


CASES = [*(("sgd", name) for name in sorted(fits("sgd"))), ("adam", "softmax")]


def run(stage: Stage, runs: Runs, checkpoint: Memory | None = None) -> Result:
    """A fit, from a checkpoint if there is one."""
    return run_stage(stage.kind.name, stage.config, context(runs.inputs(stage), checkpoint))


def assert_equal(first: Result, second: Result) -> None:
    """Bit for bit."""
    assert first.artifacts[WEIGHTS] == second.artifacts[WEIGHTS]
    assert history(first.artifacts[HISTORY]) == history(second.artifacts[HISTORY])


@pytest.mark.parametrize(("schedule", "name"), CASES)
def test_a_fit_by_graphs_is_the_fit_without(
    schedule: str,
    name: str,
    runs: Runs,
    captures: list[Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over epochs with other rates, a smaller last batch, restarts; also where it was begun by the
    one and goes on by the other.
    """
    stage = fits(schedule)[name]
    monkeypatch.setenv(VARIABLE, "0")
    as_it_is = run(stage, runs)
    begun_as_it_is = saved_until(2, stage, runs)
    assert captures == []
    monkeypatch.setenv(VARIABLE, "1")
    by_graphs = run(stage, runs)
    assert_equal(by_graphs, as_it_is)
    assert (name in AS_THEY_ARE) == (captures == [])
    assert all(each.num_replayed >= each.num_eager for each in captures)
    assert_equal(run(stage, runs, begun_as_it_is), as_it_is)
    begun_by_graphs = saved_until(2, stage, runs)
    monkeypatch.setenv(VARIABLE, "0")
    assert_equal(run(stage, runs, begun_by_graphs), as_it_is)
