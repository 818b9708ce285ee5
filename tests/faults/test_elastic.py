"""A cluster that comes, grows and goes while a sweep runs on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.faults.harness import ROOT, WAIT_S, Sweep, wait_until

SPEC = """\
name: elastic
datasets: [digits]
splits: [0, 1, 2, 3]
backbone: {width: 0.125}
training: {epochs: 8, batch_size: 32, warmup_epochs: 1, augmentation: {crop_padding: 1}}
resources: {checkpoint_every_s: 3600}
methods: {softmax: {}}
"""
# In workers: pretends GPUs that this machine has not, notes what stages were given, and lets none
# begin on the CPU before a file is there.
PRETENDED = """
import sys

if any("default_worker.py" in each for each in sys.orig_argv):
    import os
    import time
    import torch
    from sweeps.running import worker

    make = worker.make

    def noted(stage_id, identities, workplace, store):
        with open({begun!r}, "a") as begun:
            print(identities[stage_id]["kind"], workplace.gpus, file=begun)
        while not workplace.gpus and not os.path.exists({there!r}):
            time.sleep(0.1)
        make(stage_id, identities, workplace, store)

    worker.make, worker.device_of = noted, lambda workplace: torch.device("cpu")
"""
HEAD = {"num_cpus": 0, "include_dashboard": False}

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]


@contextmanager
def headed() -> Iterator[Cluster]:
    """A cluster of which nothing but the head is there, on which nothing can run."""
    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def linger(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fits wait, on machines that are started by this process from now on."""
    sweep.linger()
    monkeypatch.setenv("PYTHONPATH", sweep.environment["PYTHONPATH"])


def on_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch, epochs: int) -> tuple[Sweep, Path]:
    """A sweep whose fits ask for a GPU, and wait, and whose scores ask for none; with the file that
    notes what its stages were given.
    """
    begun, there = folder / "begun.txt", folder / "there"
    there.touch()
    asked = SPEC.replace("resources: {", "resources: {gpus: 1, kinds: {score: {gpus: 0}}, ")
    sweep = Sweep(folder / "home", asked.replace("epochs: 8", f"epochs: {epochs}"))
    sweep.with_code(PRETENDED.format(begun=str(begun), there=str(there)))
    linger(sweep, monkeypatch)
    return sweep, begun


def test_a_sweep_follows_the_cluster_from_nothing_to_four_machines_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It waits for the first machine, takes each that comes, and says when none is left."""
    sweep = Sweep(tmp_path / "home", SPEC)
    linger(sweep, monkeypatch)
    log = tmp_path / "home.log"
    with headed() as cluster:
        driver = sweep.start("--address", cluster.address)
        said = "asks for 1 CPU on one machine, and no machine has that"
        wait_until(lambda: said in log.read_text(), "the first machine to be missed")
        machines = [cluster.add_node(num_cpus=1)]
        wait_until(lambda: len(sweep.under_way) == 1, "one fit")
        machines += [cluster.add_node(num_cpus=1) for _ in range(3)]
        wait_until(lambda: len(sweep.under_way) == 4, "four fits at once")
        for machine in machines:
            cluster.remove_node(machine, allow_graceful=False)
        wait_until(lambda: log.read_text().count(said) == 2, "the last machine to be missed")
        assert not sweep.commits
        sweep.hurry()
        cluster.add_node(num_cpus=4)
        assert driver.wait(WAIT_S) == 0, log.read_text()
    assert set(sweep.retries) == {"node lost"}
    assert "4 of 4 trials done; this launch started 8 of 8 stages" in log.read_text()


@pytest.mark.brief
def test_once_the_first_gpu_is_there_nothing_begins_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was handed out ahead, to wait for a core, is given back and waits for the GPU."""
    begun, there = tmp_path / "begun.txt", tmp_path / "there"
    code = PRETENDED.format(begun=str(begun), there=str(there))
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    sweep = Sweep(tmp_path / "home", SPEC.replace("epochs: 8", "epochs: 2"))
    with headed() as cluster:
        driver = sweep.start("--address", cluster.address)
        cluster.add_node(num_cpus=1)
        wait_until(begun.exists, "a fit on the CPU")
        cluster.add_node(num_cpus=2, num_gpus=1)
        there.touch()
        assert driver.wait(WAIT_S) == 0, sweep.log
    first, *others = [line.split() for line in begun.read_text().splitlines()]
    assert first == ["fit", "0.0"]
    assert sorted(others) == [["fit", "1.0"]] * 3 + [["score", "0.25"]] * 4
    assert sweep.retries == []
    assert "4 of 4 trials done; this launch started 8 of 8 stages" in sweep.log


def test_fits_follow_gpus_from_none_to_four_and_back_and_scoring_waits_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What asked for a GPU never begins on a CPU; what asked for none begins while fits wait."""
    sweep, begun = on_gpus(tmp_path, monkeypatch, epochs=60)
    said = "asks for 1 CPU and 1 GPU on one machine, and no machine has that"
    with headed() as cluster:
        cluster.add_node(num_cpus=1)
        driver = sweep.start("--address", cluster.address)
        wait_until(lambda: said in sweep.log, "a GPU to be missed")
        gpus = [cluster.add_node(num_cpus=1, num_gpus=1) for _ in range(4)]
        wait_until(lambda: len(sweep.under_way) == 4, "four fits at once")
        for machine in gpus[1:]:
            cluster.remove_node(machine, allow_graceful=False)
        sweep.hurry()
        wait_until(lambda: begun.read_text().count("score"), "the score of the first fit to begin")
        sweep.sign.touch()  # the others wait
        assert len(sweep.commits) < 4, "no fit waits for a GPU any more"
        cluster.remove_node(gpus[0], allow_graceful=False)
        wait_until(lambda: sweep.log.count(said) == 2, "the last GPU to be missed")
        sweep.hurry()
        cluster.add_node(num_cpus=4, num_gpus=4)
        assert driver.wait(WAIT_S) == 0, sweep.log
    assert set(begun.read_text().splitlines()) == {"fit 1.0", "score 0.0"}
    assert set(sweep.retries) == {"node lost"}
    assert "4 of 4 trials done; this launch started 8 of 8 stages" in sweep.log


def test_cancelled_stages_end_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One is cancelled while it runs, two that wait for a machine which nobody has."""
    spec = SPEC.replace("name: elastic", "name: faults").replace("[0, 1, 2, 3]", "[0, 1]")
    spec = spec.replace("softmax: {}", "softmax: {}, cac: {}")
    needs = "resources: {methods: {cac: {cpus: 64}}, "
    sweep = Sweep(tmp_path / "home", spec.replace("resources: {", needs))
    linger(sweep, monkeypatch)
    with headed() as cluster:
        cluster.add_node(num_cpus=1)
        driver = sweep.start("--address", cluster.address)
        wait_until(lambda: sweep.under_way, "a fit's first epoch")
        (running,) = sweep.under_way
        unplaced = [i for i, each in sweep.stages.items() if each["label"].startswith("fit cac")]
        for stage_id in (running, *unplaced):
            done = sweep.osr("cancel", "faults", stage_id)
            assert done.returncode == 0, done.stderr
        sweep.hurry()
        assert driver.wait(WAIT_S) == 1, sweep.log
    assert "1 of 4 trials done" in sweep.log
    failures = sweep.store.attempts.failures(sweep.stages)
    assert {i: failure["reason"] for i, failure in failures.items()} == dict.fromkeys(
        [running, *unplaced], "cancelled"
    )
    assert {sweep.stages[i]["kind"] for i in sweep.commits} == {"fit", "score"}
    assert len(sweep.commits) == 2


@pytest.mark.brief
def test_a_wait_that_is_over_ends_with_a_code_of_its_own(tmp_path: Path):
    """A script must tell it from a wrong spec and from a sweep that failed."""
    sweep = Sweep(tmp_path / "home", SPEC)
    with headed() as cluster:
        command = sweep.command("--address", cluster.address, "--wait", "0.01")
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=WAIT_S, cwd=ROOT
        )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "none came in 0.01 min. Lower `resources` in the spec, or wait longer" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.brief
def test_what_ones_own_machine_can_never_have_is_refused_at_once(tmp_path: Path):
    """Nobody will add a machine to it."""
    sweep = Sweep(tmp_path / "home", SPEC.replace("resources: {", "resources: {cpus: 4096, "))
    done = subprocess.run(
        sweep.command(), capture_output=True, text=True, check=False, timeout=WAIT_S, cwd=ROOT
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "a stage asks for 4096 CPUs on one machine, and this one has" in done.stderr
