"""Whose fault the end of a worker is: its stage's, or that of a machine which was taken away."""

from pathlib import Path

import pytest

from osr_core.errors import OsrError
from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.running.deaths import DOUBT_S, Doubts
from sweeps.running.outcome import Cause, Outcome
from tests.sweeps.running.one_by_one import Sweep, machines


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


class Cluster:
    """A searcher on a cluster of which machines die, and a clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.machines = 1000.0, machines(2)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        self.sweep = Sweep(folder)
        self.sweep.searcher.doubts = Doubts(lambda: self.machines)

    def lose_node(self) -> None:
        """Ray misses it from now on."""
        self.machines = machines(len(self.machines.there) - 1, self.machines.lost + 1)

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
    cluster.machines = machines(2, lost=1)
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
    cluster.machines = machines(alive, lost=1)
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
    cluster.machines = machines(1)
    cluster.lose_connection()
    assert [outcome.cause for outcome in cluster.sweep.retried] == [Cause.WORKER_DIED]


def test_nothing_more_begins_where_the_launch_has_a_problem_with_a_death(cluster: Cluster):
    """It is found on the way to the next stage, which would run for nobody."""

    def full(outcome: Outcome) -> None:
        raise OsrError("No space left on device")

    searcher = cluster.sweep.searcher
    cluster.lose_connection()
    cluster.sweep.notes.retried = full
    other = {"method": {"name": "other"}, "task": {}}
    searcher.add([Stage(kind=NOOP, config=other)])
    cluster.lose_node()
    cluster.now += DOUBT_S
    assert searcher.suggest("next") is None
    assert str(searcher.problem) == "No space left on device"
    assert searcher.suggest("after that") == searcher.FINISHED
