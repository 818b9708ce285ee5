"""Two sweeps that need the same fit train it once, as long as both live."""

from pathlib import Path

import pytest

from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from sweeps.store.witness import Life, Witness
from tests.sweeps.small import ID, leave

FIT = "3f" * 16
HOLDER = {
    "host": "elsewhere",
    "boot": "b",
    "pid_space": "p",
    "pid": 1,
    "process_started": "1",
    "since": "today",
    "beats": 0,
    "released": False,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return Store(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is, to be set."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_the_sweep_that_begins_a_stage_has_it_until_it_is_done(store: Store):
    """The second is told who has it, and gets it when the first lets go."""
    with Lease(store.leases, "one", take_over=False) as lease:
        mine, other = Fence("one", lease.number), Fence("two", 1)
        assert store.claims.holder(FIT, other) is None
        assert store.claims.take(FIT, mine) is None
        assert store.claims.take(FIT, mine) is None  # an attempt that is repeated
        assert store.claims.holder(FIT, mine) is None
        assert store.claims.holder(FIT, other) == "one"
        assert store.claims.take(FIT, other) == "one"
        store.claims.drop(FIT, other)  # it has none
        assert store.claims.holder(FIT, other) == "one"
        store.claims.drop(FIT, mine)
        assert store.claims.holder(FIT, other) is None


def test_a_claim_of_a_dead_driver_holds_nothing_up(store: Store):
    """It was killed, or another has taken its sweep over."""
    with Lease(store.leases, "one", take_over=False) as lease:
        store.claims.take(FIT, Fence("one", lease.number))
    assert store.claims.holder(FIT, Fence("two", 1)) is None
    assert store.claims.take(FIT, Fence("two", 1)) is None
    store.claims.drop(FIT, Fence("two", 1))
    with Lease(store.leases, "one", take_over=False) as later:
        store.claims.take(FIT, Fence("one", later.number))
        store.claims.drop(FIT, Fence("one", later.number - 1))  # of the driver that was taken over
        assert store.claims.holder(FIT, Fence("two", 1)) == "one"


def test_a_committed_stage_is_claimed_by_nobody(store: Store):
    """Its driver may have been killed before it could let go."""
    with Lease(store.leases, "one", take_over=False) as lease:
        store.claims.take(ID, Fence("one", lease.number))
        leave(store)
        assert store.claims.holder(ID, Fence("two", 1)) is None


def test_a_driver_on_another_machine_is_believed_to_live_until_it_was_watched(
    store: Store, clock: list[float]
):
    """Its process cannot be looked at; its heartbeats tell, and nobody waits for them."""
    other = Fence("two", 1)
    store.leases.create("one", 1, HOLDER)
    store.claims.take(FIT, Fence("one", 1))
    assert store.claims.holder(FIT, other) == "one"
    clock[0] += 11
    assert store.claims.holder(FIT, other) == "one"
    store.leases.write("one", 1, {**HOLDER, "beats": 5})
    clock[0] += 11
    assert store.claims.holder(FIT, other) == "one"
    clock[0] += 11  # and no beat since
    assert store.claims.holder(FIT, other) == "one"
    clock[0] += 2
    assert store.claims.holder(FIT, other) is None


def test_many_dead_drivers_are_watched_at_the_same_time(store: Store, clock: list[float]):
    """Twelve seconds for each would be minutes for `osr gc`."""
    for number in range(20):
        store.leases.create(f"sweep{number}", 1, HOLDER)
    assert Witness(store.leases).find_living(store.leases.sweeps()) is None
    assert clock[0] - 100 < 15


def test_a_living_driver_on_another_machine_is_found(
    store: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    """By a heartbeat that comes while all are watched."""
    store.leases.create("dead", 1, HOLDER)
    store.leases.create("living", 1, HOLDER)

    def beat(seconds: float) -> None:
        clock[0] += seconds
        store.leases.write("living", 1, {**HOLDER, "beats": int(clock[0])})

    monkeypatch.setattr("time.sleep", beat)
    assert Witness(store.leases).find_living(["dead", "living"]) == "living"


def test_a_driver_in_another_container_of_this_machine_is_not_taken_for_dead(
    store: Store, clock: list[float]
):
    """It shares host name and boot with us, but its process has another number here."""
    with Lease(store.leases, "one", take_over=False) as lease:
        _, holder = store.leases.latest("one")
        assert holder is not None
        inside = {**holder, "pid": 2**22 + 1, "pid_space": "pid:[1]"}
        store.leases.write("one", lease.number, inside)
        assert Witness(store.leases).life("one") == Life.UNSURE
        store.leases.write("one", lease.number, {**inside, "pid_space": holder["pid_space"]})
        assert Witness(store.leases).life("one") == Life.DEAD
