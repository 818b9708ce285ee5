"""Damaged files, full disks, wrong clocks, changed code: committed results never change."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.harness import SPEC, Sweep, check_invariants, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def stage_folder(sweep: Sweep, label: str) -> Path:
    """Where a stage's result lies."""
    record = json.loads((sweep.home / "store" / "sweeps" / "faults.json").read_text())
    (stage_id,) = [s["stage_id"] for s in record["stages"] if s["label"].startswith(label)]
    return sweep.home / "store" / "stages" / stage_id[:2] / stage_id


def remove(folder: Path) -> None:
    """Forget a stage."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@pytest.mark.parametrize("name", ["weights-*.safetensors", "commit.json"])
def test_a_damaged_input_is_made_again(sweep: Sweep, reference: Sweep, name: str):
    """A flipped bit in a file that a later stage reads: refused, set aside, done again."""
    assert sweep.finish().returncode == 0
    (damaged,) = stage_folder(sweep, "fit softmax digits/0 seed 0 member 1").glob(name)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    for label in ("score pmal", "fit pmal", "pmal.mine"):
        remove(stage_folder(sweep, label))
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((sweep.home / "store" / "damaged").iterdir())) == 1
    check_invariants(sweep, reference, clock=False)  # the input is younger than what read its twin


def test_damage_found_on_the_way_to_mlflow_is_made_again(sweep: Sweep, reference: Sweep):
    """MLflow's database is lost, a score and a fit are damaged: all of it comes back."""
    assert sweep.finish().returncode == 0
    (sweep.home / "mlflow" / "mlflow.db").unlink()
    for label, name in (("score cac", "scores-*"), ("fit cac", "history-*")):
        (damaged,) = stage_folder(sweep, label).glob(name)
        damaged.write_bytes(b"PAR1")
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((sweep.home / "store" / "damaged").iterdir())) == 2
    check_invariants(sweep, reference, clock=False)  # the score may be made before its fit


def test_a_lost_loss_takes_no_other_trial_with_it(sweep: Sweep, reference: Sweep):
    """One of the trials explodes; the scores of the others are the same to the bit."""
    explodes = "softmax: [{}, {training: {lr: 1.0e+30}}]"
    sweep.text = SPEC.replace("softmax: {}", explodes)
    assert sweep.finish().returncode == 1
    ours = pq.read_table(sweep.home / "exports" / "faults" / "scores.parquet")
    theirs = pq.read_table(reference.home / "exports" / "faults" / "scores.parquet")
    assert ours.equals(theirs)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kilobytes; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_cleanly_and_goes_on(small_disk: Path, reference: Sweep):
    """It is said what to do; with room again, nothing that was committed is done again."""
    sweep = Sweep(small_disk / "home")
    full = sweep.finish()
    assert full.returncode in (1, 2)
    assert "No space left on device" in full.stdout + full.stderr
    assert "Traceback" not in full.stderr
    committed = sweep.commits
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert committed.items() <= sweep.commits.items()
    check_invariants(sweep, reference)


def started_and_killed(sweep: Sweep) -> None:
    """A driver that dies in the middle."""
    driver = sweep.start()
    wait_until(lambda: len(sweep.commits) >= 2, "two commits")
    driver.kill()
    driver.wait()


def with_code(sweep: Sweep, folder: Path, code: str) -> None:
    """Run `code` at the start of every Python process of the sweep."""
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    sweep.environment = {"PYTHONPATH": path}


def test_a_clock_set_back_an_hour_changes_nothing(sweep: Sweep, reference: Sweep, tmp_path: Path):
    """Summer time or a bad battery: leases and checkpoints do not compare clocks."""
    started_and_killed(sweep)
    with_code(
        sweep,
        tmp_path,
        "import time\nreal = time.time\ntime.time = lambda: real() - 3600\n",
    )
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    check_invariants(sweep, reference, clock=False)


def test_changed_code_is_never_mixed_with_old_results(
    sweep: Sweep, reference: Sweep, tmp_path: Path
):
    """A raised version gives other ids: refused under the old name, and re-keyed if insisted on."""
    started_and_killed(sweep)
    before = sweep.commits
    with_code(sweep, tmp_path, "from osr_core import stage\nstage.VERSIONS['fit'] += 1\n")
    refused = sweep.finish()
    assert refused.returncode == 2
    assert "stands for another sweep" in refused.stderr
    done = sweep.finish("--replace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert before.items() <= sweep.commits.items()
    record = json.loads((sweep.home / "store" / "sweeps" / "faults.json").read_text())
    fits = [s["stage_id"] for s in record["stages"] if s["kind"] == "fit"]
    assert all(sweep.commits[stage_id]["stage"]["version"] == 2 for stage_id in fits)
    assert set(fits).isdisjoint(before)
