"""A machine so busy that what Ray needs to start does not start in time."""

from pathlib import Path

import psutil
import pytest

from tests.faults.harness import (
    ONE_FIT,
    WAIT_S,
    Sweep,
    check_nothing_is_left,
    family,
    title,
    wait_until,
)

pytestmark = pytest.mark.faults


def below(pid: int, part: str) -> set[psutil.Process]:
    """Processes of a driver's whose command lines have a part."""
    return {process for process in family(pid) if part in title(process)}


@pytest.mark.brief
def test_a_ray_that_does_not_start_is_started_again(tmp_path: Path):
    """Its node ends 15 s after it began to wait for its agent; nothing of that try is left."""
    sweep = Sweep(tmp_path / "home", ONE_FIT)
    driver = sweep.start()
    wait_until(lambda: below(driver.pid, "dashboard/agent.py"), "the agent of Ray's node")
    first = below(driver.pid, "ray")
    for agent in below(driver.pid, "dashboard/agent.py"):
        agent.suspend()
    wait_until(lambda: below(driver.pid, "raylet/raylet") - first, "another node")
    check_nothing_is_left([each for each in first if each.pid != driver.pid])
    assert driver.wait(WAIT_S) == 0, sweep.log
    assert "1 of 1 trials done" in sweep.log
