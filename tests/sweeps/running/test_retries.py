"""An attempt that came to nothing is repeated by its cause: never without end, never silently."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from osr_core.errors import DataError
from osr_core.stage import Stage
from sweeps.running import retries, worker
from sweeps.running.cluster import occupied
from sweeps.running.deaths import DOUBT_S, Doubts, Nodes
from sweeps.running.outcome import Cause
from sweeps.running.retries import RETRIES
from sweeps.running.searcher import StageSearcher
from sweeps.store.files import StoreError
from sweeps.store.leases import Fence
from sweeps.store.store import Store

STAGE = Stage(kind="noop", config={"method": {"name": "noop"}, "task": {}})
USER = Stage(kind="noop", config={"method": {"name": "user"}, "task": {}}, inputs={"x": STAGE})


class Sweep:
    """A searcher whose trials run here, one after the other, as Tune would run them."""

    def __init__(self, folder: Path, told: Callable[[worker.Outcome], None] | None = None) -> None:
        self.place = worker.Workplace(store=str(folder), data_root=None)
        self.store = Store(folder)
        self.retried: list[worker.Outcome] = []
        self.ended: list[tuple[worker.Outcome, list[str]]] = []
        self.configs: list[dict[str, Any]] = []
        self.searcher = StageSearcher(
            [STAGE, USER],
            started=lambda stage: None,
            retried=told or self.retried.append,
            ended=lambda outcome, skipped: self.ended.append((outcome, skipped)),
            count_nodes=lambda: Nodes(alive=1, lost=0),
        )

    def run(self) -> None:
        """Until the searcher has nothing more; retries do not wait."""
        identities = {stage.id: stage.identity for stage in (STAGE, USER)}
        for number in range(500):
            config = self.searcher.suggest(str(number))
            if config == StageSearcher.FINISHED:
                return
            assert isinstance(config, dict)
            self.configs.append(config)
            outcome = worker.work(config["stage_id"], identities, self.place)
            self.searcher.on_trial_complete(str(number), asdict(outcome))
        raise AssertionError("it never ended")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delay is there for servers and disks to recover; there are none here."""
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.0)


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
    assert [config["stage_id"] for config in sweep.configs] == [STAGE.id, STAGE.id, USER.id]
    assert [config["alone"] for config in sweep.configs] == [False, True, False]
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
    place = worker.Workplace(store=str(tmp_path), data_root=None)
    with pytest.raises(torch.AcceleratorError, match="device-side"):
        worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)


def test_a_notice_between_two_stages_ends_the_next_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It may go to another machine, and costs no epoch; given back here, it runs."""
    monkeypatch.setattr(worker.Terminations, "received", True)
    sweep = Sweep(tmp_path)
    sweep.run()
    assert [outcome.cause for outcome in sweep.retried] == [Cause.PREEMPTED]
    assert sweep.store.committed([STAGE.id, USER.id]) == {STAGE.id, USER.id}


def test_once_asked_to_stop_no_stage_begins(tmp_path: Path):
    """Tune hands a worker one more when the one before was saved."""
    store, fence = Store(tmp_path), Fence("digits", 1)
    store.leases.create("digits", 1, {})
    store.orders.stop(fence)
    place = worker.Workplace(store=str(tmp_path), data_root=None, fence=fence)
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert outcome.cause == Cause.INTERRUPTED
    assert store.committed([STAGE.id]) == set()


def test_what_a_driver_that_was_taken_over_made_is_not_committed(tmp_path: Path):
    """Its worker finds another lease when it comes to commit; nothing is the stage's fault."""
    store = Store(tmp_path)
    for number in (1, 2):
        store.leases.create("digits", number, {"pid": number, "host": "here"})
    place = worker.Workplace(store=str(tmp_path), data_root=None, fence=Fence("digits", 1))
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert (outcome.cause, store.committed([STAGE.id])) == (Cause.TAKEN_OVER, set())
    assert "taken over by process 2 on here" in str(outcome.reason)


def test_a_stage_alone_gets_a_whole_gpu():
    """A quarter of a GPU becomes a whole one; two stay two; without GPUs there is none to give."""
    assert occupied(2, 0.25, alone=False) == {"CPU": 2, "GPU": 0.25}
    assert occupied(2, 0.25, alone=True) == {"CPU": 2, "GPU": 1.0}
    assert occupied(2, 2.0, alone=True) == {"CPU": 2, "GPU": 2.0}
    assert occupied(2, 0.0, alone=True) == {"CPU": 2, "GPU": 0.0}


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


@pytest.mark.parametrize("words", ["the node has died", "the actor was preempted"])
def test_the_death_of_a_node_is_not_the_stages_fault(tmp_path: Path, words: str):
    """Ten nodes may be taken away under one stage; its worker may die of itself three times."""
    sweep = Sweep(tmp_path)
    for number in range(10):
        sweep.searcher.suggest(str(number))
        sweep.searcher.on_death(str(number), f"RayActorError: {words}")
    assert (len(sweep.retried), sweep.ended) == (10, [])
    for number in range(10, 14):
        sweep.searcher.suggest(str(number))
        sweep.searcher.on_death(str(number), "RayActorError: the actor died unexpectedly")
    assert (len(sweep.retried), len(sweep.ended)) == (13, 1)


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


class Cluster:
    """A searcher on a cluster of which machines die, and a clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.nodes = 1000.0, Nodes(alive=2, lost=0)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        self.sweep = Sweep(folder)
        self.sweep.searcher.doubts = Doubts(lambda: self.nodes)

    def lose_node(self) -> None:
        """Ray misses it from now on."""
        self.nodes = Nodes(alive=self.nodes.alive - 1, lost=self.nodes.lost + 1)

    def lose_connection(self) -> None:
        """To the stage that is handed out now."""
        searcher = self.sweep.searcher
        trial_id = str(self.now)
        assert isinstance(searcher.suggest(trial_id), dict)
        searcher.on_death(trial_id, "The actor 17 is unavailable: Socket closed")

    def causes_after(self, seconds: float) -> list[str]:
        """Why attempts were repeated by then; looked at every second or so."""
        until = self.now + seconds
        while self.now < until:
            self.now += 1.1
            if self.sweep.searcher.suggest("x") is not None:  # handed out again
                self.sweep.searcher.on_death("x", "node was terminated")
                self.sweep.retried.pop()
        return [str(outcome.cause) for outcome in self.sweep.retried]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Of two machines."""
    return Cluster(tmp_path, monkeypatch)


def test_a_lost_connection_is_judged_once_ray_has_had_time_to_miss_the_node(cluster: Cluster):
    """It tells of the connection at once and of the node half a minute later at most."""
    cluster.lose_connection()
    assert cluster.causes_after(DOUBT_S / 2) == []
    cluster.lose_node()
    assert cluster.causes_after(3) == [Cause.NODE_LOST]
    assert "Socket closed" in str(cluster.sweep.retried[0].reason)


def test_a_lost_connection_to_a_node_that_stays_is_the_workers_death(cluster: Cluster):
    """A node that was lost long before, and on which nothing of ours ran, excuses nothing."""
    cluster.lose_node()
    cluster.nodes = Nodes(alive=2, lost=1)
    cluster.causes_after(2)
    cluster.now += 2 * DOUBT_S
    cluster.lose_connection()
    assert cluster.causes_after(DOUBT_S / 2) == []
    assert cluster.causes_after(DOUBT_S) == [Cause.WORKER_DIED]


@pytest.mark.parametrize("alive", [1, 2])
def test_a_node_that_was_missed_before_the_driver_read_of_the_connection_counts(
    cluster: Cluster, alive: int
):
    """A driver that was busy or paused; whether other machines are left or not."""
    cluster.nodes = Nodes(alive, lost=1)
    cluster.lose_connection()
    assert cluster.causes_after(3) == [Cause.NODE_LOST]


def test_every_stage_of_a_lost_node_is_excused(cluster: Cluster):
    """Also the one of which the driver hears after the first was settled."""
    cluster.lose_connection()
    cluster.lose_node()
    assert cluster.causes_after(3) == [Cause.NODE_LOST]
    cluster.lose_connection()
    assert cluster.causes_after(3) == [Cause.NODE_LOST] * 2


def test_on_one_machine_a_lost_connection_leaves_no_doubt(cluster: Cluster):
    """With the machine the driver would be gone, too."""
    cluster.nodes = Nodes(alive=1, lost=0)
    cluster.lose_connection()
    assert [outcome.cause for outcome in cluster.sweep.retried] == [Cause.WORKER_DIED]


def test_a_worker_that_sees_another_store_than_its_driver_says_so(tmp_path: Path):
    """The home is on no shared folder; the worker must not make a store of its own."""
    elsewhere = tmp_path / "elsewhere"
    place = worker.Workplace(store=str(elsewhere), data_root=None, fence=Fence("digits", 3))
    outcome = worker.work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert outcome.cause == Cause.UNFIT
    assert "OSR_STORE" in str(outcome.reason)
    assert str(elsewhere / "leases" / "digits" / "3.json") in str(outcome.reason)
    assert list(elsewhere.glob("*")) == []
