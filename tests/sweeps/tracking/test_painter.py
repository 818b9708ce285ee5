"""Pictures are drawn beside the driver, with the same bytes, and never outlive it."""

import operator
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from analysis.exports.schema import METRICS
from osr_core.tables import SCORES_SCHEMA
from sweeps.commands.results import draw_pictures
from sweeps.launch import reaper
from sweeps.tracking.errors import TrackingError
from sweeps.tracking.painter import Painter
from tests.sweeps.tracking.test_arrival import parquet

DRIVER = """
import operator, time
from sweeps.tracking.painter import Painter
painter = Painter(operator.add)
assert painter(1, 2) == 3
print(painter._idle[0].pid, flush=True)
time.sleep(100)
"""


@pytest.fixture
def painter() -> Iterator[Any]:
    """Of one that divides: functions of any module will do."""
    with Painter(operator.truediv) as made:
        yield made


def test_its_pictures_have_the_bytes_that_the_driver_would_have_drawn():
    """The same trial, the same scores."""
    trial = {"title": "CAC", "dataset": "digits", "split": 3, "seed": 0, "trial_id": "3f" * 16}
    trial |= {"label": "CAC", "changes": {"backbone": {"width": 0.25}, "training": {}}}
    trial |= {"recipe": "cac", "selection": "none", "hyperparameters": {"backbone.width": 0.25}}
    trial |= {"sweep": "digits", "commit": "1a2b3c4", **dict.fromkeys(METRICS, 0.75)}
    images = [
        {
            "image_id": f"digits/test/{number}",
            "label": number % 3 - 1,
            "predicted": number % 2,
            "unknown_score": 1 / (number + 1),
            "logits": [1.0, 0.0],
            "class_name": str(number % 3),
        }
        for number in range(30)
    ]
    scores = parquet(images, SCORES_SCHEMA)
    with Painter(draw_pictures) as made:
        drawn = made(trial, scores)
    assert drawn == draw_pictures(trial, scores)
    assert sorted(drawn) == ["confusion.png", "histogram.png", "roc.png"]


def test_what_cannot_be_drawn_is_said_and_the_next_is_drawn(painter: Any):
    """The tracker logs it and writes the run without pictures."""
    with pytest.raises(TrackingError, match="division by zero"):
        painter(1, 0)
    assert painter(1, 2) == 0.5


def test_what_a_library_prints_is_no_answer():
    """Standard output is the way back to the driver."""
    with Painter(print) as made:  # type: ignore[arg-type]
        assert made({"a": 1}, b"b") is None


def test_one_that_was_killed_is_replaced(painter: Any):
    """Whatever a cluster has started is reaped at its end, and pictures are still to be drawn."""
    assert painter(1, 2) == 0.5
    painter._idle[0].kill()
    assert painter(1, 4) == 0.25


def test_all_that_were_killed_are_replaced(painter: Any):
    """The next one that is idle was killed as well."""
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(painter, (1, 3), (2, 4))) == [0.5, 0.75]
    for process in painter._processes:
        process.kill()
    assert painter(1, 4) == 0.25


def test_who_asks_while_another_waits_has_a_process_of_their_own(tmp_path: Path):
    """One end of a pipe opens when the other does; one process would wait for ever."""
    os.mkfifo(pipe := tmp_path / "pipe")
    ends = (os.O_RDONLY, os.O_WRONLY)
    with ThreadPoolExecutor(2) as threads, Painter(os.open) as made:  # type: ignore[arg-type]
        opened = [threads.submit(made, pipe, end) for end in ends]  # type: ignore[arg-type]
        assert all(isinstance(each.result(60), int) for each in opened)
        assert len(made._processes) == 2


def test_who_asks_after_its_end_is_ended(painter: Any):
    """A driver in a hurry leaves while its tracking thread still asks.

    An error would let the thread finish the run without pictures, for good.
    """
    assert painter(1, 2) == 0.5
    process = psutil.Process(painter._idle[0].pid)
    painter.__exit__(None, None, None)
    assert not reaper.runs(process)
    with pytest.raises(SystemExit):
        painter(1, 2)
    assert not painter._processes


def test_who_waits_for_its_answer_at_its_end_is_ended(tmp_path: Path):
    """Also the second time: Ray's end has killed the process that was asked first."""
    os.mkfifo(pipe := tmp_path / "pipe")
    with ThreadPoolExecutor(1) as threads, Painter(os.open) as made:  # type: ignore[arg-type]
        asked = threads.submit(made, pipe, os.O_RDONLY)  # type: ignore[arg-type]
        (first,) = started(made)
        first.kill()
        started(made, but=first)
        made.__exit__(None, None, None)
        with pytest.raises(SystemExit):
            asked.result(60)


def started(painter: Painter, but: Any = None) -> list[Any]:
    """Its processes, once there is one besides another."""
    deadline = time.monotonic() + 60
    while not (found := [each for each in [*painter._processes] if each is not but]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_it_ends_with_its_driver():
    """SIGKILL, which nobody can handle."""
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=-1, text=True) as driver:
        assert driver.stdout is not None
        process = psutil.Process(int(driver.stdout.readline()))
        driver.kill()
    deadline = time.monotonic() + 60
    while reaper.runs(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reaper.runs(process)
