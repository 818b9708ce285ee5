"""A sweep stops in order whatever becomes of the terminal that it was started in."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from sweeps.home import Home
from tests.faults.harness import (
    ONE_FIT,
    PATIENT,
    ROOT,
    WAIT_S,
    Sweep,
    check_nothing_is_left,
    family,
    wait_until,
)

pytestmark = pytest.mark.faults


def in_terminal(sweep: Sweep) -> tuple[subprocess.Popen[bytes], int]:
    """A driver in a session whose terminal is ours, and our end of it."""
    ours, its = pty.openpty()
    code = "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    code += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # whatever the tests run under
    code += "os.execv(sys.argv[1], sys.argv[1:])"
    driver = subprocess.Popen(
        [sys.executable, "-c", code, *sweep.command()],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env={**os.environ, **sweep.environment},
        cwd=ROOT,
    )
    os.close(its)
    sweep.has(driver)
    return driver, ours


def into_pipe(sweep: Sweep) -> tuple[subprocess.Popen[bytes], int]:
    """A driver whose output goes into a pipe, and our end of it."""
    driver = subprocess.Popen(
        sweep.command(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, **sweep.environment},
        cwd=ROOT,
    )
    sweep.has(driver)
    assert driver.stdout is not None
    return driver, driver.stdout.fileno()


def close_terminal(driver: subprocess.Popen[bytes], ours: int) -> None:
    """The kernel sends SIGHUP, and each print fails."""
    os.close(ours)


def end_tee(driver: subprocess.Popen[bytes], ours: int) -> None:
    """Ctrl-C ends `tee` at once; each print fails."""
    assert driver.stdout is not None
    driver.stdout.close()
    os.killpg(driver.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(in_terminal, close_terminal, id="closed terminal"),
        pytest.param(into_pipe, end_tee, id="tee", marks=pytest.mark.brief),
    ],
)
def test_a_sweep_whose_reader_goes_saves_and_ends(
    sweep: Sweep,
    start: Callable[[Sweep], tuple[subprocess.Popen[bytes], int]],
    end: Callable[[subprocess.Popen[bytes], int], None],
):
    """And MLflow shows that it was stopped."""
    sweep.text = ONE_FIT
    sweep.with_code(PATIENT)
    sweep.linger()
    driver, ours = start(sweep)
    wait_until(lambda: sweep.under_way, "a fit under way")
    processes = family(driver.pid)
    end(driver, ours)
    assert driver.wait(WAIT_S) == 130
    check_nothing_is_left(processes)
    assert len(sweep.checkpoints) == 1
    assert statuses(sweep.home) == {"KILLED"}


def statuses(home: Path) -> set[str]:
    """Of all runs in MLflow."""
    client = mlflow.MlflowClient(Home(home).tracking_uri)
    experiment = client.get_experiment_by_name("faults")
    return {run.info.status for run in client.search_runs([experiment.experiment_id])}
