"""No test here waits for what is not there, or for time to pass."""

import pytest

from sweeps.running import retries


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delay is there for servers and disks to recover; there are none here."""
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No time passes by itself."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now
