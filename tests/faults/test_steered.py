"""A sweep that runs does what it is told from elsewhere, through the store."""

import re
from pathlib import Path

import pytest

from sweeps.store.leases import Fence
from tests.faults.harness import WAIT_S, Sweep, wait_until

# A busy machine takes minutes to start Ray.
pytestmark = pytest.mark.faults
SPEC = """\
name: faults
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 12, batch_size: 32, warmup_epochs: 1}
resources: {checkpoint_every_s: 3600}
methods: {softmax: {}, cac: {}}
"""
# By the driver of what is not handed out yet, by a worker or Ray's queue of what is.
CANCELLED = "2 stages cancelled|failed fit cac .*: cancelled"


def told(sweep: Sweep, words: str, line: str) -> None:
    """Type a command, and wait until the driver says that it has heard it."""
    before = len(re.findall(line, sweep.log))
    done = sweep.osr(*words.split())
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(re.findall(line, sweep.log)) > before, f"'{line}' after {words}")


@pytest.mark.brief
def test_a_sweep_is_paused_cancelled_in_part_and_retried_while_and_after_it_runs(tmp_path: Path):
    """Every epoch that has ended is kept; what was cancelled is left out until it is retried."""
    sweep = Sweep(tmp_path / "home", SPEC)
    sweep.linger()
    driver = sweep.start()
    wait_until(lambda: sweep.under_way, "a fit's first epoch")
    told(sweep, "pause faults", "paused, until `osr resume faults`")
    wait_until(lambda: sweep.checkpoints, "what runs to be saved")
    told(sweep, "cancel faults --method cac", CANCELLED)
    told(sweep, "retry faults --method cac", "2 stages to be tried again")
    told(sweep, "cancel faults --method cac", CANCELLED)
    assert driver.poll() is None
    sweep.hurry()
    told(sweep, "resume faults", "going on")
    assert driver.wait(WAIT_S) == 1
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


def test_a_budget_ends_a_launch_with_5_and_a_reviewed_plan_goes_on_once(tmp_path: Path):
    """One trial of four, and what is committed stays; then the rest, as it was planned."""
    text = SPEC.replace("splits: [0]", "splits: [0, 1]").replace("epochs: 12", "epochs: 2")
    sweep = Sweep(tmp_path / "home", text + "budget: {trials: 1}\n")
    done = sweep.finish()
    assert done.returncode == 5, done.stdout + done.stderr
    assert "the budget is spent: " in done.stdout
    scores = [stage for stage in sweep.done if stage["kind"] == "score"]
    assert 1 <= len(scores) < 4
    spec, plan = tmp_path / "faults.yaml", str(tmp_path / "plan.json")
    spec.write_text(text)
    assert sweep.osr("plan", str(spec), "--output", plan).returncode == 0
    rest = sweep.osr("run", plan)
    assert rest.returncode == 0, rest.stdout + rest.stderr
    assert "4 of 4 trials done" in rest.stdout
    again = sweep.osr("run", plan)
    assert (again.returncode, "the store has moved on" in again.stderr) == (2, True)
