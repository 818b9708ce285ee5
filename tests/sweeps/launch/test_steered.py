"""A sweep that runs does what it is told from elsewhere, through the store."""

from pathlib import Path

from sweeps.store.leases import Fence
from tests.faults.harness import Sweep, wait_until

SPEC = """\
name: faults
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 12, batch_size: 32, warmup_epochs: 1}
resources: {checkpoint_every_s: 3600}
methods: {softmax: {}, cac: {}}
"""


def told(sweep: Sweep, words: str, line: str) -> None:
    """Type a command, and wait until the driver says that it has heard it."""
    before = sweep.log.count(line)
    done = sweep.osr(*words.split())
    assert done.returncode == 0, done.stderr
    wait_until(lambda: sweep.log.count(line) > before, f"'{line}' after {words}")


def test_a_sweep_is_paused_cancelled_in_part_and_retried_while_and_after_it_runs(tmp_path: Path):
    """Every epoch that has ended is kept; what was cancelled is left out until it is retried."""
    sweep = Sweep(tmp_path / "home", SPEC)
    driver = sweep.start()
    wait_until(lambda: sweep.under_way, "a fit's first epoch")
    told(sweep, "pause faults", "paused, until `osr resume faults`")
    wait_until(lambda: sweep.checkpoints, "what runs to be saved")
    told(sweep, "cancel faults --method cac", "2 stages cancelled")
    told(sweep, "retry faults --method cac", "2 stages to be tried again")
    told(sweep, "cancel faults --method cac", "2 stages cancelled")
    assert driver.poll() is None
    told(sweep, "resume faults", "going on")
    assert driver.wait(240) == 1
    assert "missing cac digits/0 seed 0: fit cac digits/0 seed 0 was cancelled" in sweep.log
    assert {stage["method"] for stage in sweep.done} == {"softmax"}
    assert sweep.retries == []  # a pause is nobody's fault
    again = sweep.finish()
    assert again.returncode == 1
    assert "starting Ray" not in again.stdout  # nothing is left that may run
    assert sweep.osr("retry", "faults", "--method", "cac").returncode == 0
    last = sweep.finish()
    assert last.returncode == 0, last.stdout + last.stderr
    assert sweep.store.orders.read(Fence("faults", 0)).cancelled == frozenset()
    (fit,) = [
        stage_id for stage_id, stage in sweep.stages.items() if stage["label"][:7] == "fit cac"
    ]
    assert len(sweep.store.read_commit(fit).epochs_at) == 12
