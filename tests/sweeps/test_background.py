"""A tracking server that is not there is told of once, and ends nothing."""

import logging

import pytest

from sweeps import background
from sweeps.background import BackgroundTracking

LONG = (
    "API request to http://127.0.0.1:5999/api failed with exception HTTPConnectionPool("
    "Caused by NewConnectionError('Failed to establish a new connection: "
    "[Errno 111] Connection refused'))"
)


def test_a_wrong_address_is_said_at_the_start_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """In the system's words, not in those of three libraries on top of each other."""
    monkeypatch.setattr(background, "PATIENCE_S", 0.5)
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.01)
    attempts = []

    def nobody_there() -> None:
        attempts.append(1)
        raise ConnectionError(LONG)

    with caplog.at_level(logging.WARNING):
        tracking = BackgroundTracking(nobody_there)  # type: ignore[arg-type]
        tracking.close("FINISHED", hurry=False)
    assert len(attempts) > 1
    said = [record.getMessage() for record in caplog.records if record.name == background.__name__]
    assert said == ["MLflow does not answer ([Errno 111] Connection refused); the sweep goes on"]
    assert tracking.problem == "[Errno 111] Connection refused"
