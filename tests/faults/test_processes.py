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

from sweeps.signals import NOTICES
from tests.faults.harness import (
    AT_ONCE,
    ONE_FIT,
    PATIENT,
    RARE,
    ROOT,
    WAIT_S,
    Sweep,
    check_nothing_is_left,
    family,
    free_port,
    kill_all,
    wait_until,
    workers,
)
from tests.faults.invariants import check_invariants, check_resumed, saved_walls

pytestmark = pytest.mark.faults
# Runs at the start of each worker process: it dies at each of these points once in a sweep.
POINTS = ("checkpoint", "artifact", "before marker", "after marker")
DEADLY = """
import os, signal, sys
from pathlib import Path
if any("default_worker" in word for word in sys.orig_argv):
    replace, link, marks = Path.replace, os.link, Path({marks!r})

    def die(point):
        try:
            os.close(os.open(marks / point, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def deadly_replace(self, target):
        if str(target).endswith(".checkpoint"):
            die("checkpoint")
        if "weights-" in str(target):
            die("artifact")
        return replace(self, target)

    def deadly_link(source, target, **more):
        if str(target).endswith("commit.json"):
            die("before marker")
        link(source, target, **more)
        if str(target).endswith("commit.json"):
            die("after marker")

    Path.replace, os.link = deadly_replace, deadly_link
"""


def test_a_killed_driver_costs_no_result(sweep: Sweep, reference: Sweep):
    """SIGKILL just after a commit and at random points; Ray's processes die with it."""
    random_ = random.Random(3)
    for turn in range(3):
        driver, begun = sweep.start(), len(sweep.commits)
        wait_until(lambda n=begun: len(sweep.commits) > n, "a commit of this driver")
        time.sleep(turn * random_.random() / 2)
        before, committed = family(driver.pid), sweep.commits
        driver.kill()
        assert driver.wait() == -signal.SIGKILL, "it had ended before"
        check_nothing_is_left(before)
        assert committed.items() <= sweep.commits.items(), "a commit changed"
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    check_invariants(sweep, reference)


def test_a_killed_worker_costs_the_epochs_since_its_checkpoint(sweep: Sweep, reference: Sweep):
    """SIGKILL in the middle of a fit: it goes on from the checkpoint, bit for bit."""
    sweep.linger()
    driver = sweep.start()
    wait_until(lambda: len(sweep.checkpoints) >= AT_ONCE, "a checkpoint of each fit")
    saved = saved_walls(sweep)
    workers(driver.pid)[0].kill()
    sweep.hurry()
    assert driver.wait(WAIT_S) == 0, sweep.log
    assert sweep.retries == ["worker process died"]
    assert "attempts repeated" in sweep.log
    check_resumed(sweep, saved)
    check_invariants(sweep, reference)


@pytest.mark.brief
def test_a_worker_that_dies_while_it_writes_leaves_whole_results(
    sweep: Sweep, reference: Sweep, tmp_path: Path
):
    """SIGKILL between a temporary file and its renaming, and on both sides of a marker."""
    marks = tmp_path / "marks"
    marks.mkdir()
    sweep.with_code(DEADLY.format(marks=str(marks)))
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert sorted(mark.name for mark in marks.iterdir()) == sorted(POINTS)
    assert sweep.retries == ["worker process died"] * len(POINTS)
    check_invariants(sweep, reference)


def test_a_preempted_worker_saves_and_goes_on(sweep: Sweep, reference: Sweep):
    """SIGTERM is a notice, not a failure: the state is saved at the end of the epoch."""
    sweep.text = RARE
    sweep.linger()
    driver = sweep.start()
    wait_until(lambda: len(sweep.under_way) >= AT_ONCE, "fits under way")
    workers(driver.pid)[0].send_signal(signal.SIGTERM)
    wait_until(lambda: sweep.checkpoints, "a checkpoint")
    saved = saved_walls(sweep)
    sweep.hurry()
    assert driver.wait(WAIT_S) == 0, sweep.log
    assert sweep.retries == ["preempted"]
    check_resumed(sweep, saved)
    check_invariants(sweep, reference)


@pytest.mark.brief
def test_a_second_driver_is_refused_and_may_take_over(sweep: Sweep, reference: Sweep):
    """The first one, paused past its lease, wakes up: what its workers finish is not wanted."""
    sweep.text = RARE  # no checkpoint tells them before they come to commit
    sweep.linger()
    first = sweep.start()
    wait_until(lambda: sweep.under_way, "a fit under way")
    paused = family(first.pid)
    kill_all(paused, signal.SIGSTOP)
    refused = sweep.finish()
    assert refused.returncode == 2
    assert f"is being run by process {first.pid}" in refused.stderr
    assert "--take-over" in refused.stderr
    assert f"is being run by process {first.pid}" in sweep.osr("status").stdout

    before = sweep.commits
    sweep.hurry()
    second = sweep.start("--take-over")
    wait_until((sweep.home / "store/leases/faults/2.json").exists, "the second lease")
    kill_all(paused, signal.SIGCONT)
    assert second.wait(WAIT_S) == 0, sweep.log
    assert first.wait(WAIT_S) == 3, sweep.log
    assert f"was taken over by process {second.pid}" in sweep.log
    assert before.items() <= sweep.commits.items(), "a commit changed"
    makers = {
        int(c["host"].rpartition(":")[2]) for i, c in sweep.commits.items() if i not in before
    }
    assert makers.isdisjoint(process.pid for process in paused), "a late commit was accepted"
    check_invariants(sweep, reference)


def test_of_two_drivers_that_go_on_at_once_one_is_refused(sweep: Sweep, reference: Sweep):
    """Both find that the one before them is dead."""
    sweep.started_and_killed()
    drivers = [sweep.start(), sweep.start()]
    assert sorted(driver.wait(WAIT_S) for driver in drivers) == [0, 2], sweep.log
    assert sweep.log.count("is being run by process") == 1
    check_invariants(sweep, reference)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="ctrl-c", marks=pytest.mark.brief),
        pytest.param(signal.SIGTERM, id="sigterm"),
        pytest.param(signal.SIGUSR1, id="slurm"),
        pytest.param(signal.SIGUSR2, id="slurm, the other"),
    ],
)
def test_the_first_signal_saves_what_runs_and_ends(sweep: Sweep, reference: Sweep, number: int):
    """Nothing of ours is left behind, and the same command goes on from there."""
    sweep.text = RARE
    sweep.with_code(PATIENT)
    sweep.linger()
    driver = sweep.start()
    wait_until(lambda: len(sweep.under_way) >= AT_ONCE, "fits under way")
    processes = family(driver.pid)
    if number in NOTICES:
        kill_all(processes, number)  # Slurm tells every process of a job's step
    else:
        os.killpg(driver.pid, number)  # a terminal tells the whole group, as `timeout` does
    assert driver.wait(WAIT_S) == 130, sweep.log
    check_nothing_is_left(processes)
    assert "Run the same command to go on" in sweep.log
    saved = saved_walls(sweep)
    assert not list((sweep.home / "store" / "failures").glob("*")), "a saved fit is no failure"
    sweep.hurry()
    assert sweep.finish().returncode == 0
    check_resumed(sweep, saved)
    check_invariants(sweep, reference)


@pytest.mark.parametrize("twice", [True, False], ids=["second signal", "end of grace"])
def test_the_second_signal_or_the_end_of_grace_ends_at_once(sweep: Sweep, twice: bool):
    """A user who asks twice means it: workers that do not answer are not waited for."""
    sweep.text = ONE_FIT
    sweep.linger()
    if twice:
        sweep.with_code(PATIENT)
    driver = sweep.start()
    wait_until(lambda: sweep.under_way, "a fit under way")
    processes = family(driver.pid)
    kill_all(workers(driver.pid), signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    if twice:
        wait_until(lambda: "stopping: running epochs end" in sweep.log, "an answer to the first")
        driver.send_signal(signal.SIGINT)
    assert driver.wait(WAIT_S) == 130, sweep.log
    check_nothing_is_left(processes)
    sweep.hurry()
    assert sweep.finish().returncode == 0


@pytest.mark.brief
def test_a_lost_node_costs_only_what_ran_on_it(sweep: Sweep, reference: Sweep, tmp_path: Path):
    """Two nodes run PMAL's two classifiers; one node dies; only its classifier runs again."""
    ray = str(Path(sys.executable).with_name("ray"))
    port = free_port()
    sweep.linger()
    environment = {**os.environ, **sweep.environment}
    head_command = ["--head", f"--port={port}", "--include-dashboard=false"]
    nodes: list[psutil.Popen] = []
    try:
        for extra in (head_command, [f"--address=127.0.0.1:{port}"]):
            command = [ray, "start", "--block", "--num-cpus=1", *extra]
            output = tmp_path / f"node{len(nodes)}.log"
            with output.open("w") as log:
                node = psutil.Popen(
                    command, stdout=log, stderr=log, start_new_session=True, env=environment
                )
            nodes.append(node)
            wait_until(lambda o=output: "Ray runtime started" in o.read_text(), "a node")
        driver = sweep.start("--address", f"127.0.0.1:{port}")
        wait_until(lambda: len(sweep.checkpoints) == 2, "a fit on each node")
        saved = saved_walls(sweep)
        kill_all(family(nodes[1].pid))
        sweep.hurry()
        assert driver.wait(WAIT_S) == 0, sweep.log
        assert sweep.retries == ["node lost"]
    finally:
        for node in nodes:
            kill_all(family(node.pid))
            node.wait()
    check_resumed(sweep, saved)
    check_invariants(sweep, reference)


@pytest.mark.brief
def test_two_sweeps_that_start_at_once_train_what_they_share_once(tmp_path: Path):
    """Each fit leaves a line where it is really trained."""
    trained = tmp_path / "trained"
    count = (
        "from osr_core import execution\n"
        "fit = execution.FUNCTIONS[execution.FIT]\n"
        "def counted(context, config):\n"
        f"    open({str(trained)!r}, 'a').write(config['method']['name'] + '\\n')\n"
        "    return fit(context, config)\n"
        "execution.FUNCTIONS[execution.FIT] = counted\n"
    )
    sweep = Sweep(tmp_path / "home", ONE_FIT.replace("splits: [0]", "splits: [0, 1, 2]"))
    sweep.with_code(count)
    command = [sys.executable, "-m", "sweeps", "run", "--home", str(sweep.home)]
    for name in ("first", "second"):
        spec = tmp_path / f"{name}.yaml"
        spec.write_text(sweep.text.replace("name: faults", f"name: {name}"))
        environment = {**os.environ, **sweep.environment}
        sweep.has(subprocess.Popen([*command, str(spec)], env=environment, cwd=ROOT))
    assert [driver.wait(WAIT_S) for driver in sweep.drivers] == [0, 0]
    assert trained.read_text().splitlines() == ["softmax"] * 3
    assert len(sweep.commits) == 6
