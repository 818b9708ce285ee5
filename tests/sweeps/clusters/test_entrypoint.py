"""The command of a job: a driver that dies is started again, one that is stopped is not."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.clusters.jobs import entrypoint

# A driver: how its attempts end, one line each.
DRIVER = """#!/bin/sh
echo "$@" >> {folder}/calls
deed=$(sed -n "$(wc -l < {folder}/calls)p" {folder}/deeds)
eval "$deed"
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """A function that starts a job whose drivers end by these deeds."""

    def start(*deeds: str) -> "subprocess.Popen[str]":
        (tmp_path / "deeds").write_text("\n".join(deeds) + "\n")
        driver = tmp_path / "python"
        driver.write_text(DRIVER.format(folder=tmp_path))
        driver.chmod(0o755)
        command = entrypoint("spec.yaml", "/data/osr", "--priority 1")
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.Popen(
            command, shell=True, text=True, start_new_session=True, env={**os.environ, "PATH": path}
        )

    return start


def calls(folder: Path) -> list[str]:
    """How the driver was called."""
    return (folder / "calls").read_text().splitlines()


CALL = "-m sweeps run spec.yaml --address auto --home /data/osr --priority 1"


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_what_a_driver_ends_with_by_itself_is_the_jobs_code(job, tmp_path: Path, code: int):
    """Also where it was stopped in order."""
    assert job(f"exit {code}").wait(30) == code
    assert calls(tmp_path) == [CALL]


def test_a_driver_that_was_killed_is_started_again(job, tmp_path: Path):
    """By whoever: it finds what is committed, and goes on."""
    assert job("kill -KILL $$", "kill -SEGV $$", "exit 1").wait(30) == 1
    assert calls(tmp_path) == [CALL] * 3


def test_one_that_is_always_killed_fails_in_the_end(job, tmp_path: Path):
    """Such as where its plan does not fit the head's memory."""
    assert job(*["kill -KILL $$"] * 9).wait(30) == 137
    assert len(calls(tmp_path)) == 5


def test_one_that_is_asked_to_stop_is_waited_for_and_not_started_again(job, tmp_path: Path):
    """Ray's SIGTERM goes to the shell and to the driver, which saves before it ends."""
    saves = f"trap 'sleep 1; touch {tmp_path}/saved; kill -KILL $$' TERM; touch {tmp_path}/up; "
    started = job(saves + "while :; do sleep 0.05; done", "exit 0")
    while not (tmp_path / "up").exists():
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGTERM)
    assert started.wait(30) == 137
    assert (tmp_path / "saved").exists()
    assert calls(tmp_path) == [CALL]
