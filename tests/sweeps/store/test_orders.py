"""Orders reach the driver that they were given to and its workers, and no other."""

from pathlib import Path

import pytest

from sweeps.store.files import Files
from sweeps.store.leases import Fence
from sweeps.store.orders import Given
from sweeps.store.store import Store
from tests.sweeps.small import ID

SEVENTH = Fence("digits", 7)


def test_an_order_does_not_outlive_its_driver(tmp_path: Path):
    """A stop of yesterday must not end the sweep of today, nor that of another name."""
    orders = Store(tmp_path).orders
    assert orders.read(SEVENTH) == Given()
    orders.stop(SEVENTH)
    assert orders.read(SEVENTH) == Given(stop=True)
    assert orders.read(Fence("digits", 8)) == orders.read(Fence("other", 7)) == Given()


def test_orders_add_up(tmp_path: Path):
    """Two users may stop two stages while the budget runs out."""
    orders = Store(tmp_path).orders
    orders.stop_stage(SEVENTH, ID)
    assert not orders.read(SEVENTH).ends_sweep
    orders.stop_stage(SEVENTH, "ab" * 16)
    orders.end_budget(SEVENTH)
    given = orders.read(SEVENTH)
    assert given == Given(budget_spent=True, stages=frozenset({ID, "ab" * 16}))
    assert given.ends_sweep


def test_a_look_is_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every worker looks at the end of every epoch, and the driver every second."""
    store, asked = Store(tmp_path), []
    store.orders.stop_stage(SEVENTH, ID)
    for name in ("below", "read", "sizes"):
        method = getattr(Files, name)
        monkeypatch.setattr(
            type(store._files),
            name,
            lambda *given, method=method: asked.append(given) or method(*given),
        )
    store.orders.read(SEVENTH)
    assert len(asked) == 1
