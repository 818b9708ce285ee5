"""An attempt that came to nothing is repeated by its cause: never without end, never silently."""

from pathlib import Path
from typing import Any

import pytest
import torch

from osr_core.errors import DataError
from osr_core.kinds import FIT
from osr_core.stage import Stage
from sweeps.running import checkpoint, worker
from sweeps.running.outcome import Cause
from sweeps.running.retries import RETRIES
from sweeps.running.workplace import Workplace
from sweeps.store.files import StoreError
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from tests.sweeps.running.one_by_one import STAGE, USER, Sweep


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    """Let the first attempts at any stage raise."""
    left, run_stage = [error] * times, worker.run_stage

    def run(kind: str, config: Any, context: Any) -> Any:
        if left:
            raise left.pop()
        return run_stage(kind, config, context)

    monkeypatch.setattr(worker, "run_stage", run)


OUT_OF_MEMORY = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_out_of_memory_is_retried_once_with_a_gpu_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Packing is reduced, the id stays, and why is on record."""
    failing(monkeypatch, OUT_OF_MEMORY, times=1)
    sweep = Sweep(tmp_path)
    sweep.run()
    ids = [config["stage_ids"] for config in sweep.configs]
    assert ids == [[STAGE.id], [STAGE.id], [USER.id]]
    assert [config["takes"]["GPU"] for config in sweep.configs] == [0.25, 1.0, 0.25]
    assert sweep.store.committed([STAGE.id, USER.id]) == {STAGE.id, USER.id}
    (outcome,) = sweep.retried
    assert (outcome.cause, "2.00 GiB" in str(outcome.reason)) == (Cause.OUT_OF_MEMORY, True)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
    ids=["context", "library"],
)
def test_a_full_gpu_is_known_by_whoever_finds_it_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """Not only torch's allocator can find no room."""
    failing(monkeypatch, error, times=1)
    sweep = Sweep(tmp_path)
    sweep.run()
    assert [outcome.cause for outcome in sweep.retried] == [Cause.OUT_OF_MEMORY]


def test_a_process_whose_cuda_broke_gets_no_other_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is raised out of `work` ends Tune's actor; the next stage would fail for this one."""
    failing(monkeypatch, torch.AcceleratorError("CUDA error: device-side assert"), times=1)
    place = Workplace(store=str(tmp_path), data_root=None)
    with pytest.raises(torch.AcceleratorError, match="device-side"):
        worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)


def test_a_notice_between_two_stages_ends_the_next_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It may go to another machine, and costs no epoch; given back here, it runs."""
    monkeypatch.setattr(checkpoint.Terminations, "received", True)
    sweep = Sweep(tmp_path)
    sweep.run()
    assert [outcome.cause for outcome in sweep.retried] == [Cause.PREEMPTED]
    assert sweep.store.committed([STAGE.id, USER.id]) == {STAGE.id, USER.id}


def test_once_asked_to_stop_no_stage_begins(tmp_path: Path):
    """Tune hands a worker one more when the one before was saved."""
    store, fence = Store(tmp_path), Fence("digits", 1)
    store.leases.create("digits", 1, {})
    store.orders.stop(fence)
    place = Workplace(store=str(tmp_path), data_root=None, fence=fence)
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert outcome.cause == Cause.INTERRUPTED
    assert store.committed([STAGE.id]) == set()


def test_what_a_driver_that_was_taken_over_made_is_not_committed(tmp_path: Path):
    """Its worker finds another lease when it comes to commit; nothing is the stage's fault."""
    store = Store(tmp_path)
    for number in (1, 2):
        store.leases.create("digits", number, {"pid": number, "host": "here"})
    place = Workplace(store=str(tmp_path), data_root=None, fence=Fence("digits", 1))
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert (outcome.cause, store.committed([STAGE.id])) == (Cause.TAKEN_OVER, set())
    assert "taken over by process 2 on here" in str(outcome.reason)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OUT_OF_MEMORY, Cause.OUT_OF_MEMORY),
        (RuntimeError("bad luck"), Cause.ERROR),
        (DataError("images.idx is truncated"), Cause.REFUSED),
    ],
    ids=["memory", "error", "refused"],
)
def test_a_poison_stage_ends_and_takes_only_its_dependants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str
):
    """As often as its cause allows and no more; what it raised is told with its traceback."""
    failing(monkeypatch, error, times=1000)
    sweep = Sweep(tmp_path)
    sweep.run()
    assert len(sweep.configs) == 1 + RETRIES[cause] == 1 + len(sweep.retried)
    ((outcome, skipped),) = sweep.ended
    assert (outcome.stage_id, outcome.cause, skipped) == (STAGE.id, cause, [USER.id])
    assert str(error) in str(outcome.reason)
    assert "Traceback" in str(outcome.traceback)


def test_a_store_that_takes_no_note_ends_the_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A full disk must not leave the driver waiting for a stage that nobody hands out again."""

    def full(outcome: worker.Outcome) -> None:
        raise StoreError("No space left on device")

    failing(monkeypatch, RuntimeError("bad luck"), times=1)
    sweep = Sweep(tmp_path, told=full)
    sweep.run()
    assert len(sweep.configs) == 1
    assert str(sweep.searcher.problem) == "No space left on device"


def test_repeated_attempts_are_on_record(tmp_path: Path):
    """Oldest first, also by a second driver."""
    Store(tmp_path).attempts.save_retry(STAGE.id, Cause.WORKER_DIED, "SIGKILL")
    store = Store(tmp_path)
    store.attempts.save_retry(STAGE.id, Cause.OUT_OF_MEMORY, "2.00 GiB")
    reasons = [attempt["reason"] for attempt in store.attempts.retries(STAGE.id)]
    assert reasons == ["SIGKILL", "2.00 GiB"]


def test_a_worker_that_sees_another_store_than_its_driver_says_so(tmp_path: Path):
    """The home is on no shared folder; the worker must not make a store of its own."""
    elsewhere = tmp_path / "elsewhere"
    place = Workplace(store=str(elsewhere), data_root=None, fence=Fence("digits", 3))
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert outcome.cause == Cause.UNFIT
    assert "OSR_STORE" in str(outcome.reason)
    assert str(elsewhere / "leases" / "digits" / "3.json") in str(outcome.reason)
    assert list(elsewhere.glob("*")) == []


def test_a_stage_that_another_sweep_trains_is_handed_out_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is looked at again and again, and costs no attempt."""
    monkeypatch.setattr("sweeps.running.searcher.CLAIMED_DELAY_S", 0.0)
    sweep = Sweep(tmp_path)
    answers = [False, False, True, True]
    monkeypatch.setattr(sweep.notes, "may_run", lambda stage: answers.pop(0))
    assert sweep.searcher.suggest("1") == {
        "stage_ids": [STAGE.id],
        "takes": {"CPU": 1, "GPU": 0.25},
        "labels": {},
        "lacks_gpu": False,
        "added": "",
    }
    assert (answers, sweep.retried) == ([True], [])


def test_a_fit_that_another_sweep_has_begun_is_given_back(tmp_path: Path):
    """Both may have handed it out in the same instant; the worker that begins later waits."""
    store = Store(tmp_path)
    fit = Stage(kind=FIT, config={"method": {"name": "cac"}})
    with (
        Lease(store.leases, "one", take_over=False) as one,
        Lease(store.leases, "two", take_over=False) as two,
    ):
        assert store.claims.take(fit.id, Fence("one", one.number)) is None
        workplace = Workplace(store=str(tmp_path), data_root=None, fence=Fence("two", two.number))
        outcome = worker.work(fit.id, {fit.id: fit.identity}, workplace)
    assert (outcome.cause, outcome.traceback) == (Cause.CLAIMED, None)
    assert RETRIES[Cause.CLAIMED] > 1000


def test_a_claim_that_cannot_be_read_holds_no_fit_up(tmp_path: Path):
    """It only saves work; a power cut may have left half of it."""
    store, stage_id = Store(tmp_path), "3f" * 16
    with Lease(store.leases, "one", take_over=False) as lease:
        workplace = Workplace(store=str(tmp_path), data_root=None, fence=Fence("one", lease.number))
        (tmp_path / "claims").mkdir()
        (tmp_path / "claims" / f"{stage_id}.json").write_text("{")
        assert not worker.is_claimed(stage_id, workplace, store)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ValueError("unknown scores are NaN"), 1),
        (torch.linalg.LinAlgError("linalg.eigh failed to converge"), 1),
        (ZeroDivisionError("division by zero"), 1),
        (RuntimeError("something of the machine"), 1 + RETRIES[Cause.ERROR]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_values_themselves_raise_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
):
    """The same numbers would raise it again; a machine may do better the next time."""
    failing(monkeypatch, error, times=10)
    sweep = Sweep(tmp_path)
    sweep.run()
    assert len(sweep.configs) == attempts
    ((outcome, _),) = sweep.ended
    assert str(error) in str(outcome.reason)
    assert outcome.traceback is not None
