"""Orders reach the drivers and workers that they were given to, and no others."""

from pathlib import Path

import pytest

from sweeps.store.files import Files
from sweeps.store.leases import Fence
from sweeps.store.orders import Given
from sweeps.store.store import Store
from tests.sweeps.small import ID

SEVENTH, EIGHTH, OTHER = Fence("digits", 7), Fence("digits", 8), Fence("other", 7)
SECOND = "ab" * 16


def test_an_order_does_not_outlive_its_driver(tmp_path: Path):
    """A stop of yesterday must not end the sweep of today, nor that of another name."""
    orders = Store(tmp_path).orders
    assert orders.read(SEVENTH) == Given()
    orders.stop(SEVENTH)
    orders.retry(SEVENTH, [ID])
    assert orders.read(SEVENTH) == Given(stop=True, retried=frozenset({ID}))
    assert orders.read(EIGHTH) == orders.read(OTHER) == Given()


def test_what_was_cancelled_or_paused_stays_so_until_it_is_taken_back(tmp_path: Path):
    """For every driver of the sweep, and for none of another that has the same stage."""
    orders = Store(tmp_path).orders
    orders.cancel("digits", [ID, SECOND])
    orders.pause("digits")
    standing = Given(paused=True, cancelled=frozenset({ID, SECOND}))
    assert orders.read(SEVENTH) == orders.read(EIGHTH) == standing
    assert orders.read(OTHER) == Given()
    orders.allow("digits", [ID])
    orders.resume("digits")
    orders.resume("digits")  # twice is once
    assert orders.read(EIGHTH) == Given(cancelled=frozenset({SECOND}))


def test_orders_add_up_and_one_that_was_heeded_is_gone(tmp_path: Path):
    """Two users may steer while the budget runs out."""
    orders = Store(tmp_path).orders
    orders.cancel("digits", [ID])
    assert not orders.read(SEVENTH).ends_sweep
    orders.retry(SEVENTH, [ID, SECOND])
    orders.end_budget(SEVENTH)
    orders.heeded(SEVENTH, [ID])
    given = orders.read(SEVENTH)
    assert given == Given(budget_spent=True, cancelled=frozenset({ID}), retried=frozenset({SECOND}))
    assert given.ends_sweep


def test_a_look_is_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every worker looks at the end of every epoch, and the driver every second."""
    store, asked = Store(tmp_path), []
    store.orders.cancel("digits", [ID])
    store.orders.stop(SEVENTH)
    for name in ("below", "read", "sizes"):
        method = getattr(Files, name)
        monkeypatch.setattr(
            type(store._files),
            name,
            lambda *given, method=method: asked.append(given) or method(*given),
        )
    store.orders.read(SEVENTH)
    assert len(asked) == 1
