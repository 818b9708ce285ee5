"""A tracking server that is not there is told of once, and ends nothing."""

import logging
import threading
import time
from collections.abc import Sequence

import pytest

from osr_core.kinds import NOOP
from osr_core.stage import Stage
from sweeps.store.files import UnreachableError
from sweeps.tracking import background
from sweeps.tracking.background import PATIENCE_S, BackgroundTracking
from sweeps.tracking.painter import AT_ONCE

LONG = (
    "API request to http://127.0.0.1:5999/api failed with exception HTTPConnectionPool("
    "Caused by NewConnectionError('Failed to establish a new connection: "
    "[Errno 111] Connection refused'))"
)


class Clock:
    """Time that passes only when a test says so."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the thread goes by, which rests no moment between two attempts."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.0)
    return made


def test_a_wrong_address_is_said_at_the_start_and_at_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
):
    """In the system's words, not in those of three libraries on top of each other."""
    attempts = []

    def nobody_there() -> None:
        attempts.append(1)
        clock.now += 1
        raise ConnectionError(LONG)

    with caplog.at_level(logging.WARNING):
        tracking = BackgroundTracking(nobody_there)  # type: ignore[arg-type]
        tracking.close("FINISHED", hurry=False)
    assert len(attempts) >= PATIENCE_S
    said = [record.getMessage() for record in caplog.records if record.name == background.__name__]
    assert said == ["MLflow does not answer ([Errno 111] Connection refused); the sweep goes on"]
    assert tracking.problem == "[Errno 111] Connection refused"


def test_a_store_that_does_not_answer_is_not_taken_for_mlflow(
    clock: Clock, caplog: pytest.LogCaptureFixture
):
    """Whoever reads it looks at the right server."""

    def away() -> None:
        clock.now += 1
        raise UnreachableError("s3://results/leases cannot be listed")

    with caplog.at_level(logging.WARNING):
        tracking = BackgroundTracking(away)  # type: ignore[arg-type]
        tracking.close("FINISHED", hurry=False)
    said = [record.getMessage() for record in caplog.records if record.name == background.__name__]
    words = "(s3://results/leases cannot be listed); the sweep goes on"
    assert said == [f"the store does not answer {words}"]


class Server:
    """Stands for a tracker of a server with moods; notes what reaches it."""

    def __init__(self, left: list[Stage]) -> None:
        self.left, self.asked, self.taken = left, 0, 0
        self.ends: list[str] = []
        self.refused: dict[str, str] = {}
        self.shown: list[Stage] = []
        self.wrote: list[Stage] = []
        self.announced: list[list[Stage]] = []

    def __call__(self) -> "Server":
        return self

    def answer(self) -> None:
        """Every request."""
        self.asked += 1

    def write(self, stage: Stage, following: Sequence[Stage]) -> None:
        self.answer()
        self.taken += 1
        self.wrote.append(stage)
        self.announced.append([*following])
        self.left = [each for each in self.left if each.id != stage.id]

    def behind(self) -> list[Stage]:
        return self.left

    def look(self) -> None:
        """After faults."""

    def show(self, stages: list[Stage]) -> None:
        self.shown = stages

    def end(self, status: str) -> None:
        self.ends.append(status)

    def close(self, status: str) -> None:
        self.ends.append(status)


STAGES = [Stage(kind=NOOP, config={"number": number}) for number in range(50)]


def test_a_broken_server_is_left_in_peace_while_stages_end(monkeypatch: pytest.MonkeyPatch):
    """Fifty stages end, and it is asked a few times, not once for each."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.2)

    class Broken(Server):
        def answer(self) -> None:
            self.asked += 1
            if time.monotonic() < well_at:
                raise ConnectionError("500")

    well_at = time.monotonic() + 1.0
    server = Broken(list(STAGES))
    tracking = BackgroundTracking(server)  # type: ignore[arg-type]
    for stage in STAGES:
        tracking.add(stage)
        time.sleep(0.01)
    tracking.close("FINISHED", hurry=False)
    assert server.asked - server.taken < 6
    assert (server.taken, server.ends, tracking.problem) == (50, ["FINISHED"], None)


def test_what_follows_is_announced():
    """Its pictures are drawn while the stage before it is written."""
    server = Server(STAGES[:5])
    BackgroundTracking(server).close("FINISHED", hurry=False)  # type: ignore[arg-type]
    assert server.wrote == STAGES[:5]
    following = [STAGES[place + 1 : 5][:AT_ONCE] for place in range(5)]
    assert server.announced == following


def test_one_fault_at_the_end_is_not_the_end(clock: Clock):
    """A server that took stage after stage for longer than our patience may answer 500 once."""

    class Slow(Server):
        def answer(self) -> None:
            clock.now += 1
            self.asked += 1
            if self.asked == 40:
                raise ConnectionError("500")

    server = Slow(list(STAGES))
    tracking = BackgroundTracking(server)  # type: ignore[arg-type]
    tracking.close("FINISHED", hurry=False)
    assert (server.left, server.ends, tracking.problem) == ([], ["FINISHED"], None)


def test_in_a_hurry_the_sweeps_run_ends_first(monkeypatch: pytest.MonkeyPatch):
    """There may be thousands of stages to send, and a second and a half."""
    monkeypatch.setattr(background, "HURRY_S", 0.1)
    asked, ended, free = threading.Event(), threading.Event(), threading.Event()

    class Slow(Server):
        def answer(self) -> None:
            asked.set()
            free.wait()

        def end(self, status: str) -> None:
            super().end(status)
            free.clear()  # no other request is answered
            ended.set()

    server = Slow(list(STAGES))
    tracking = BackgroundTracking(server)  # type: ignore[arg-type]
    tracking.add(STAGES[0])
    asked.wait()
    tracking.close("KILLED", hurry=True)
    assert tracking.problem == "there was no time to write all of it"
    free.set()
    assert ended.wait(60), "the run of the sweep was not ended"
    assert (server.ends, server.taken) == (["KILLED"], 1)
    free.set()
