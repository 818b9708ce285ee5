"""What Tune is handed is a bundle: stages that run in one process, with an outcome each."""

import json
from pathlib import Path
from typing import Any

import pytest

from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.running import worker
from sweeps.running.outcome import Cause
from sweeps.running.trainable import BundleTrainable
from sweeps.running.workplace import Workplace
from sweeps.store.store import Store

FIRST, SECOND, THIRD = (
    Stage(kind=NOOP, config={"method": {"name": "noop"}, "number": number}) for number in range(3)
)


def trainable(folder: Path, *stages: Stage, added: str = "") -> BundleTrainable:
    """One that knows the first two stages and was handed `stages`."""
    made = BundleTrainable.__new__(BundleTrainable)
    made.identities = {stage.id: stage.identity for stage in (FIRST, SECOND)}
    made.workplace = Workplace(store=str(folder), data_root=None)
    made.node = "here"
    made.bundle = {
        "stage_ids": [stage.id for stage in stages],
        "takes": {"CPU": 1, "GPU": 0.0},
        "lacks_gpu": False,
        "added": added,
    }
    return made


def test_each_stage_of_a_bundle_has_an_outcome_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that fails takes no other with it."""
    run_stage = worker.run_stage

    def run(kind: str, config: Any, context: Any) -> Any:
        if config["number"] == 0:
            raise RuntimeError("bad luck")
        return run_stage(kind, config, context)

    monkeypatch.setattr(worker, "run_stage", run)
    result = trainable(tmp_path, FIRST, SECOND).step()
    assert [outcome["stage_id"] for outcome in result["outcomes"]] == [FIRST.id, SECOND.id]
    assert [outcome["cause"] for outcome in result["outcomes"]] == [Cause.ERROR, None]
    assert Store(tmp_path).committed([FIRST.id, SECOND.id]) == {SECOND.id}
    assert result["done"]


def test_a_stage_that_the_plan_got_later_brings_its_identity(tmp_path: Path):
    """The actor was told of the plan when it began."""
    added = json.dumps({THIRD.id: THIRD.identity})
    (outcome,) = trainable(tmp_path, THIRD, added=added).step()["outcomes"]
    assert outcome["cause"] is None
    assert Store(tmp_path).committed([THIRD.id]) == {THIRD.id}


def test_what_was_meant_for_a_gpu_does_not_run_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A machine whose torch sees no GPU is named; no hours are spent on the wrong device."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    made = trainable(tmp_path, FIRST)
    made.bundle["takes"] = {"CPU": 1, "GPU": 0.5}
    (outcome,) = made.step()["outcomes"]
    assert outcome["cause"] == Cause.UNFIT
    assert "has given 0.5 GPU to a stage, and torch" in outcome["reason"]
    assert Store(tmp_path).committed([FIRST.id]) == set()


@pytest.mark.parametrize(
    ("lacks_gpu", "there", "cause"),
    [
        (True, {"CPU": 2.0, "GPU": 1.0}, Cause.GPU_CAME),
        (True, {"CPU": 2.0}, None),
        (False, {"CPU": 2.0, "GPU": 1.0}, None),
    ],
    ids=["it came", "none came", "none is wanted"],
)
def test_what_was_queued_for_lack_of_a_gpu_is_given_back_once_there_is_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacks_gpu: bool,
    there: dict[str, float],
    cause: Cause | None,
):
    """It waited for a core meanwhile, and would take hours on it."""
    monkeypatch.setattr("ray.cluster_resources", lambda: there)
    made = trainable(tmp_path, FIRST)
    made.bundle["lacks_gpu"] = lacks_gpu
    (outcome,) = made.step()["outcomes"]
    assert outcome["cause"] == cause
    assert Store(tmp_path).committed([FIRST.id]) == (set() if cause else {FIRST.id})
