"""A search asks the same, finds the same and chooses the same, whatever dies meanwhile.

Its fits are made in legs, so that kills also meet what goes on from what another stage left.
"""

import contextlib
import random
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import Sweep, family, wait_until, workers

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
KILLS = 10
SPEC = """\
name: faults
datasets: [digits]
splits: [0, 1, 2]
backbone: {width: 0.1}
training: {epochs: 3, batch_size: 32, warmup_epochs: 1, augmentation: {crop_padding: 1}}
resources: {checkpoint_every_s: 0}
methods:
  softmax: {}
  cac:
    - {}
    - search:
        space:
          anchor_weight: {low: 0.01, high: 1.0, log: true}
          alpha: {low: 2.0, high: 30.0, log: true}
        candidates: 12
        lag: 4
        rungs: [1]
"""


def shown(sweep: Sweep) -> tuple[bytes, bytes, str]:
    """What a user sees of a search that has ended."""
    assert sweep.osr("export", "faults").returncode == 0
    return sweep.export("candidates.parquet"), sweep.export("runs.parquet"), sweep.table


def kill_now_and_then(sweep: Sweep, kills: int, seed: int) -> int:
    """Kill drivers and workers while a sweep runs, and launch it again; how many were killed."""
    draw, made = random.Random(seed), 0
    while made < kills:
        driver = sweep.start("--cpus", "2")
        time.sleep(draw.uniform(8, 16))
        if driver.poll() is not None:
            break
        victims = workers(driver.pid) if draw.random() < 0.5 else []
        for victim in victims or [psutil.Process(driver.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
                made += 1
        if victims:
            driver.kill()
            made += 1
        driver.wait()
        wait_until(lambda pid=driver.pid: not family(pid), "the end of what was started")
    return made


def test_neither_kills_nor_workers_change_what_a_search_finds(tmp_path: Path):
    """One worker, four, and ten kills in the middle: the same bytes and the same choice."""
    alone, crowd, killed = (Sweep(tmp_path / name, SPEC) for name in ("alone", "crowd", "killed"))
    assert alone.finish("--cpus", "1").returncode == 0
    assert crowd.finish("--cpus", "4").returncode == 0
    made = kill_now_and_then(killed, KILLS, seed=7)
    assert made >= KILLS, f"the sweep ended after {made} kills"
    last = killed.finish()
    assert last.returncode == 0, last.stderr
    assert shown(alone) == shown(crowd) == shown(killed)
    assert "held_out_classes_auroc" in alone.table
