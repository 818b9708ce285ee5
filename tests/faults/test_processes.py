"""Any process may die, pause or be taken away at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import (
    NUM_STAGES,
    SPEC,
    Sweep,
    alive,
    check_invariants,
    family,
    wait_until,
    workers,
)

pytestmark = pytest.mark.timeout(900)
RARE = SPEC.replace("checkpoint_every_s: 0", "checkpoint_every_s: 600")  # only when asked to save


def kill_all(processes: list[psutil.Process], number: int) -> None:
    """Send a signal to all that are still there."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


@pytest.mark.faults
def test_a_killed_driver_costs_no_result(sweep: Sweep, reference: Sweep):
    """SIGKILL at random points, one of them just after a commit; Ray's processes die with it."""
    random_ = random.Random(3)
    for at_least in sorted(random_.sample(range(NUM_STAGES - 1), 3)):
        driver = sweep.start()
        wait_until(
            lambda n=at_least, d=driver: len(sweep.commits) >= n or d.poll() is not None, "commits"
        )
        if at_least:
            time.sleep(random_.random())
        before = family(driver.pid)
        committed = sweep.commits
        driver.kill()
        driver.wait()
        wait_until(lambda processes=before: not alive(processes), "Ray's processes to end", 30)
        assert committed.items() <= sweep.commits.items(), "a commit changed"
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    check_invariants(sweep, reference)


def test_a_killed_worker_costs_the_epochs_since_its_checkpoint(sweep: Sweep, reference: Sweep):
    """SIGKILL in the middle of a fit: it goes on from the checkpoint, bit for bit."""
    driver = sweep.start()
    wait_until(lambda: sweep.checkpoints and workers(driver.pid), "a fit under way")
    workers(driver.pid)[0].kill()
    assert driver.wait(240) == 0, sweep.log
    assert "attempts repeated" in sweep.log
    check_invariants(sweep, reference)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    """SIGKILL between the temporary file and its renaming, thirty times."""
    path = tmp_path / "state"
    code = (
        "import sys\nfrom pathlib import Path\nfrom sweeps.files import write_atomically\n"
        "while True:\n    for letter in (b'a', b'b'):\n"
        "        write_atomically(Path(sys.argv[1]), letter * 3_000_000)\n"
    )
    writer = None
    for turn in range(30):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        wait_until(path.exists, "the first write")
        time.sleep(0.05 + 0.01 * turn)
        writer.kill()
        writer.wait()
        content = path.read_bytes()
        assert content in (b"a" * 3_000_000, b"b" * 3_000_000)


def test_a_preempted_worker_saves_and_goes_on(sweep: Sweep, reference: Sweep):
    """SIGTERM is a notice, not a failure: the state is saved at the end of the epoch."""
    sweep.text = RARE
    driver = sweep.start()
    wait_until(lambda: len(sweep.under_way) == 2, "two fits under way")
    workers(driver.pid)[0].send_signal(signal.SIGTERM)
    assert driver.wait(240) == 0, sweep.log
    assert sweep.retries == ["preempted"]
    check_invariants(sweep, reference)


@pytest.mark.faults
def test_a_second_driver_is_refused_and_may_take_over(sweep: Sweep, reference: Sweep):
    """The first one, paused past its lease, wakes up to find that nothing of it is wanted."""
    first = sweep.start()
    wait_until(lambda: sweep.checkpoints, "a fit under way")
    paused = family(first.pid)
    kill_all(paused, signal.SIGSTOP)
    refused = sweep.finish()
    assert refused.returncode == 2
    assert f"is being run by process {first.pid}" in refused.stderr
    assert "--take-over" in refused.stderr

    before = len(sweep.commits)
    second = sweep.start("--take-over")
    wait_until(lambda: len(sweep.commits) >= before + 2, "commits of the second driver")
    committed = sweep.commits
    kill_all(paused, signal.SIGCONT)
    assert second.wait(240) == 0, sweep.log
    assert first.wait(240) != 0
    assert "was taken over" in sweep.log
    assert committed.items() <= sweep.commits.items(), "a commit changed"
    sweep.finish()
    check_invariants(sweep, reference)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_the_first_signal_saves_and_ends_within_ten_seconds(
    sweep: Sweep, reference: Sweep, number: int
):
    """Nothing of ours is left behind, and the same command goes on from there."""
    sweep.text = RARE
    driver = sweep.start()
    wait_until(lambda: len(sweep.under_way) == 2, "two fits under way")
    processes = family(driver.pid)
    start = time.monotonic()
    driver.send_signal(number)
    assert driver.wait(60) == 130, sweep.log
    assert time.monotonic() - start < 10
    assert "Run the same command to go on" in sweep.log
    assert sweep.checkpoints, "nothing was saved"
    assert not list((sweep.home / "store" / "failures").glob("*")), "a saved fit is no failure"
    wait_until(lambda: not alive(processes), "all processes to end", 10)
    assert sweep.finish().returncode == 0
    check_invariants(sweep, reference)


def test_the_second_signal_ends_at_once(sweep: Sweep):
    """A user who asks twice means it."""
    driver = sweep.start()
    wait_until(lambda: workers(driver.pid), "a stage under way")
    processes = family(driver.pid)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.3)
    start = time.monotonic()
    driver.send_signal(signal.SIGINT)
    driver.wait(30)
    assert time.monotonic() - start < 6
    wait_until(lambda: not alive(processes), "all processes to end", 10)


@pytest.mark.faults
def test_a_lost_node_costs_only_what_ran_on_it(sweep: Sweep, reference: Sweep, tmp_path: Path):
    """Two nodes run PMAL's two classifiers; one node dies; only its classifier runs again."""
    ray = str(Path(sys.executable).with_name("ray"))
    port = 20_000 + os.getpid() % 20_000
    head_command = ["--head", f"--port={port}", "--include-dashboard=false"]
    nodes = []
    try:
        for extra in (head_command, [f"--address=127.0.0.1:{port}"]):
            command = [ray, "start", "--block", "--num-cpus=1", *extra]
            with (tmp_path / f"node{len(nodes)}.log").open("w") as log:
                node = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            nodes.append(node)
            time.sleep(8)
        driver = sweep.start("--address", f"127.0.0.1:{port}")
        wait_until(lambda: len(sweep.checkpoints) == 2, "a fit on each node")
        kill_all(family(nodes[1].pid), signal.SIGKILL)
        assert driver.wait(240) == 0, sweep.log
        assert sweep.retries == ["node lost"]
    finally:
        for node in nodes:
            kill_all(family(node.pid), signal.SIGKILL)
            node.wait()
    check_invariants(sweep, reference)
