"""No test here waits for what is not there."""

import pytest

from sweeps.running import retries


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delay is there for servers and disks to recover; there are none here."""
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.0)
