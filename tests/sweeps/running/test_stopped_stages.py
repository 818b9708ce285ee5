"""A worker that is ordered to stop saves first; one stage's end does not end the sweep."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from osr_core.results.saved_state import SavedState
from osr_core.tensors import from_bytes
from osr_core.training import Fit
from sweeps.launch.changed import changed_stages
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running import checkpoint, worker
from sweeps.running.checkpoint import StoreCheckpoint
from sweeps.running.outcome import Cause, Stopped
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.attempts import Attempts
from sweeps.store.files import FileError, UnreachableError
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from tests.sweeps.running.test_retries import STAGE, USER, Sweep

FENCE = Fence("small", 1)
SPEC = {
    "name": "small",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125},
    "training": {"epochs": 3, "batch_size": 64, "warmup_epochs": 0},
    "methods": {"softmax": {}},
}


def place(folder: Path) -> Workplace:
    """That of a worker whose driver has the first lease, and whose checkpoints are rare."""
    Store(folder).leases.create("small", 1, {})
    return Workplace(store=str(folder), data_root=None, fence=FENCE)


@pytest.mark.parametrize(
    ("order", "cause"),
    [
        (lambda orders, stage_id: orders.stop(FENCE), Cause.INTERRUPTED),
        (lambda orders, stage_id: orders.end_budget(FENCE), Cause.INTERRUPTED),
        (lambda orders, stage_id: orders.cancel("small", [stage_id]), Cause.CANCELLED),
        (lambda orders, stage_id: orders.pause("small"), Cause.PAUSED),
    ],
    ids=["sweep", "budget", "stage", "pause"],
)
def test_a_fit_that_is_to_stop_saves_its_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any, cause: Cause
):
    """The order comes in its second epoch; the next attempt goes on with the third."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    stage = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    store, one_epoch = Store(tmp_path), Fit.one_epoch

    def ordered(fit: Fit) -> dict[str, float]:
        if fit.progress.epoch == 1:
            order(store.orders, stage.id)
        return one_epoch(fit)

    monkeypatch.setattr(Fit, "one_epoch", ordered)
    outcome = work(stage.id, {stage.id: stage.identity}, place(tmp_path))
    assert (outcome.cause, outcome.reason) == (cause, str(cause))
    saved = store.attempts.load_checkpoint(stage.id)
    assert saved is not None
    assert from_bytes(saved.content)[1]["progress"]["epoch"] == 2
    assert store.committed([stage.id]) == set()


def test_a_stage_that_is_to_leave_its_place_does_not_begin_and_is_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another sweep has less of the cluster; what runs is its own sweep's to the end."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    stage = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    store, here, one_epoch = Store(tmp_path), place(tmp_path), Fit.one_epoch
    store.orders.leave(FENCE, [stage.id])
    assert work(stage.id, {stage.id: stage.identity}, here).cause == Cause.YIELDED
    store.orders.take_back(FENCE, [stage.id])

    def ordered(fit: Fit) -> dict[str, float]:
        store.orders.leave(FENCE, [stage.id])
        return one_epoch(fit)

    monkeypatch.setattr(Fit, "one_epoch", ordered)
    assert work(stage.id, {stage.id: stage.identity}, here).cause is None


def test_a_fit_on_a_full_disk_ends_at_its_next_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What it goes on to learn could not be kept either."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    stage = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")

    def full(self: Attempts, stage_id: str, state: SavedState) -> None:
        raise FileError("No space left on device")

    monkeypatch.setattr(Attempts, "save_checkpoint", full)
    workplace = replace(place(tmp_path), checkpoint_every_s=0.0)
    outcome = work(stage.id, {stage.id: stage.identity}, workplace)
    assert (outcome.cause, outcome.reason) == (Cause.ERROR, "No space left on device")


def test_a_fit_that_other_code_began_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its first epochs are of that code: the next launch asks about it as about any such result."""
    plan = plan_with_data(parse_spec(SPEC, "small"), None)
    stage = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    store, workplace = Store(tmp_path), place(tmp_path)
    store.orders.stop(FENCE)
    identities = {stage.id: stage.identity}
    stop_if_asked = StoreCheckpoint.stop_if_asked

    def stops_once_begun(checkpoint: StoreCheckpoint, begins: str | None = None) -> None:
        if store.attempts.load_checkpoint(stage.id) is not None:
            stop_if_asked(checkpoint)

    with monkeypatch.context() as other:
        other.setattr(StoreCheckpoint, "stop_if_asked", stops_once_begun)
        other.setattr(worker, "source_of", lambda identity: "0f" * 16)
        assert work(stage.id, identities, workplace).cause == Cause.INTERRUPTED
    assert work(stage.id, identities, replace(workplace, fence=None)).cause is None
    assert store.read_commit(stage.id).source == "0f" * 16
    assert changed_stages(plan.stages, store, [stage.id]) == [stage]


def test_a_cancelled_stage_is_given_up_at_once_with_what_needs_it(tmp_path: Path):
    """It is not tried again, also where it has not begun; the rest of the sweep goes on."""
    sweep = Sweep(tmp_path)
    sweep.workplace = place(tmp_path)
    sweep.store.orders.cancel("small", [STAGE.id, "ab" * 16])  # and another's
    sweep.run()
    ((outcome, skipped),) = sweep.ended
    assert (outcome.cause, outcome.reason, skipped) == (Cause.CANCELLED, "cancelled", [USER.id])
    assert (len(sweep.configs), sweep.retried) == (1, [])
    assert (sweep.searcher.stopping, sweep.searcher.problem) == (False, None)


def test_a_stage_that_nobody_cancelled_runs(tmp_path: Path):
    """Beside one that was."""
    sweep = Sweep(tmp_path)
    sweep.workplace = place(tmp_path)
    sweep.store.orders.cancel("small", [USER.id])
    sweep.run()
    assert [(outcome.stage_id, outcome.cause) for outcome, _ in sweep.ended] == [
        (STAGE.id, None),
        (USER.id, Cause.CANCELLED),
    ]


@pytest.mark.parametrize("kind", ["score", "calibrate"])
def test_a_stage_of_many_batches_is_stopped_between_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    """It may take an hour where there are a million images; nothing is left of it."""
    monkeypatch.setattr(checkpoint, "LOOK_EVERY_S", 0.0)
    values = {**SPEC, "training": {"epochs": 1}, "methods": {"softmax": {}, "openmax": {}}}
    stages = plan_with_data(parse_spec(values, "small"), None).stages
    store, workplace = Store(tmp_path), place(tmp_path)
    identities = {stage.id: stage.identity for stage in stages.values()}
    stage = next(stage for stage in stages.values() if stage.kind.name == kind)
    for upstream in stage.inputs.values():
        assert work(upstream.id, identities, workplace).cause is None
    run_stage = worker.run_stage

    def ordered(kind: str, config: Any, context: Any) -> Any:
        store.orders.cancel(FENCE.sweep, [stage.id])
        return run_stage(kind, config, context)

    monkeypatch.setattr(worker, "run_stage", ordered)
    assert work(stage.id, identities, workplace).cause == Cause.CANCELLED
    assert store.committed([stage.id]) == set()


def test_a_stage_does_not_begin_when_its_method_is_held(tmp_path: Path):
    """It was handed out before the breaker tripped; what has begun goes on, it may end well."""
    sweep = Sweep(tmp_path)
    sweep.workplace = place(tmp_path)
    sweep.store.orders.hold(FENCE, "noop", "a fault")
    sweep.run()
    ((outcome, skipped),) = sweep.ended
    assert (outcome.cause, skipped, sweep.retried) == (Cause.HELD, [USER.id], [])
    assert StoreCheckpoint(sweep.store, STAGE.id, sweep.workplace, "").due() is False


@dataclass
class SilentStore:
    """Each request waits a minute of a clock of its own, and gets no answer."""

    now: float = 0.0
    asked_at: list[float] = field(default_factory=list)

    @property
    def orders(self) -> "SilentStore":
        """As are its leases."""
        return self

    leases = orders

    def read(self, fence: Fence) -> None:
        """Nobody is there."""
        self.asked_at.append(self.now)
        self.now += 60
        raise UnreachableError("the store does not answer")

    check = read


def test_half_of_the_time_is_work_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Epochs of 10 s; asked at the end of each, the store took six minutes of every seven."""
    store = SilentStore()
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: store.now))
    held = StoreCheckpoint(store, "ab" * 16, place(tmp_path), "")  # type: ignore[arg-type]
    for _epoch in range(60):
        store.now += 10
        if held.due():
            held.save(b"state")
    assert len(store.asked_at) * 60 <= store.now / 2
    assert store.now - store.asked_at[-1] < 130  # and it is asked again and again


def test_a_machine_that_goes_is_a_reason_to_ask_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It may be the last chance to save."""
    store = SilentStore()
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: store.now))
    held = StoreCheckpoint(store, "ab" * 16, place(tmp_path), "")  # type: ignore[arg-type]
    assert not held.due()
    monkeypatch.setattr(checkpoint.Terminations, "received", True)
    assert held.due()
    with pytest.raises(Stopped):
        held.save(b"state")
    assert len(store.asked_at) == 2
