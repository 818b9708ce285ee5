"""What is handed out while some of it fits on no machine, is given back or is cancelled."""

import pytest

from sweeps.planning.resources import Resources
from sweeps.running.outcome import Cause
from sweeps.running.placement import Ask, Machines, UnplacedError
from sweeps.running.searcher import StageSearcher
from tests.sweeps.running.one_by_one import Notes
from tests.sweeps.running.test_placement import CPUS, GPU, stage


@pytest.mark.parametrize("most", [None, 1], ids=["all", "one slot"])
def test_a_stage_that_fits_nowhere_does_not_keep_the_others_from_running(
    monkeypatch: pytest.MonkeyPatch, most: int | None
):
    """Its wait may be over long before they are; the sweep ends when nothing else is left."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    stages = [stage("fit", "pmal"), *(stage("fit", number=number) for number in range(20))]
    resources = Resources(methods={"pmal": {"gpus": 2}})
    asked = StageSearcher(stages, resources, Notes(), lambda: Machines((GPU,)), wait_s=60.0)
    asked.room.most = most
    ended = 0
    for number in map(str, range(30)):
        clock[0] += 30.0
        config = asked.suggest(number)
        if not isinstance(config, dict) or config["takes"]["GPU"] > 1:
            continue
        asked.on_trial_start(number)
        ended += 1
        outcome = {"stage_id": config["stage_ids"][0], "wall_s": 1.0}
        asked.on_trial_complete(number, {"outcomes": [outcome]})
    assert ended == 20
    assert isinstance(asked.problem, UnplacedError)
    assert "asks for 1 CPU and 2 GPUs on one machine" in str(asked.problem)


def test_what_is_queued_and_fits_nowhere_keeps_no_machine_from_others():
    """Only what fits may have the worker that Tune would keep."""
    stages = [stage("fit", "pmal"), stage("fit")]
    resources = Resources(methods={"pmal": {"gpus": 2}})
    asked = StageSearcher(stages, resources, Notes(), lambda: Machines((GPU,)), wait_s=60.0)
    asked.room.share = 1.0
    handed_out = [asked.suggest(number) for number in ("1", "2")]
    (fitting,) = [
        number
        for number, each in zip(("1", "2"), handed_out, strict=True)
        if isinstance(each, dict) and each["takes"]["GPU"] == 1
    ]
    assert not asked.keeps_no_idle_worker
    asked.on_trial_start(fitting)
    assert asked.keeps_no_idle_worker


def test_what_is_given_back_when_a_gpu_came_is_handed_out_for_it(monkeypatch: pytest.MonkeyPatch):
    """At once, though the machines were looked at before; it was no attempt."""
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    fit, notes = stage("fit"), Notes()
    asked = StageSearcher([fit], Resources(), notes, lambda: Machines((CPUS,)), wait_s=60.0)
    before = asked.suggest("1")
    outcome = {"stage_id": fit.id, "wall_s": 0.0, "cause": Cause.GPU_CAME}
    asked.on_trial_complete("1", {"outcomes": [outcome]})
    after = asked.suggest("2")
    assert [(each["takes"]["GPU"], each["lacks_gpu"]) for each in (before, after)] == [
        (0.0, True),
        (1.0, False),
    ]
    assert asked.room.handed_out[Ask(1, 0.0)] == 0


def test_a_cancelled_stage_that_fits_on_no_machine_is_taken_out():
    """No worker will ever look at its order; a launch that waits for nothing else ends."""
    stages, notes = [stage("fit", "pmal"), stage("fit")], Notes()
    resources = Resources(methods={"pmal": {"gpus": 2}})
    asked = StageSearcher(stages, resources, notes, lambda: Machines((GPU,)), wait_s=60.0)
    handed_out = {number: asked.suggest(number) for number in ("1", "2")}
    gpus = {
        number: each["takes"]["GPU"]
        for number, each in handed_out.items()
        if isinstance(each, dict)
    }
    (fitting,) = [number for number in gpus if gpus[number] == 1]
    asked.on_trial_start(fitting)
    asked.cancel_queued({each.id for each in stages})
    assert [(end.stage_id, end.cause) for end, _ in notes.ends] == [(stages[0].id, Cause.CANCELLED)]
    assert not asked.idle
    ended = {"stage_id": stages[1].id, "wall_s": 1.0}
    asked.on_trial_complete(fitting, {"outcomes": [ended]})
    assert asked.idle
    assert asked.suggest("3") == StageSearcher.FINISHED


def test_what_is_retried_while_its_first_trial_is_still_queued_is_trained_once():
    """Ray cannot be told to forget a trial: where its stage is wanted again, it is that trial's."""
    (fit,), notes = [stage("fit")], Notes()
    asked = StageSearcher([fit], Resources(), notes, lambda: Machines((CPUS,)), wait_s=60.0)
    assert isinstance(asked.suggest("1"), dict)
    asked.cancel_queued({fit.id})
    assert [end.cause for end, _ in notes.ends] == [Cause.CANCELLED]
    assert asked.revive([fit.id]) == [fit.id]
    assert asked.suggest("2") is None
    asked.on_trial_start("1")
    asked.on_trial_complete("1", {"outcomes": [{"stage_id": fit.id, "wall_s": 1.0}]})
    assert [end.cause for end, _ in notes.ends] == [Cause.CANCELLED, None]
    assert asked.suggest("2") == StageSearcher.FINISHED
    assert asked.room.handed_out.total() == 0


@pytest.mark.parametrize("error", [False, True], ids=["ended", "died"])
def test_what_is_retried_once_its_first_trial_is_gone_is_handed_out_anew(error: bool):
    """Its worker has seen the order, or never came to be."""
    (fit,), notes = [stage("fit")], Notes()
    asked = StageSearcher([fit], Resources(), notes, lambda: Machines((CPUS,)), wait_s=60.0)
    asked.suggest("1")
    asked.cancel_queued({fit.id})
    told = {"outcomes": [{"stage_id": fit.id, "wall_s": 1.0, "cause": Cause.CANCELLED}]}
    asked.on_trial_complete("1", None if error else told, error=error)
    asked.revive([fit.id])
    assert isinstance(again := asked.suggest("2"), dict)
    assert again["stage_ids"] == [fit.id]
