"""Damaged files, full disks, wrong clocks, changed code: committed results never change."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from osr_core.kinds import FIT
from tests.faults.harness import NUM_FITS, NUM_STAGES, SPEC, Sweep
from tests.faults.invariants import check_invariants, mlflow_runs

pytestmark = pytest.mark.faults


def remove(folder: Path) -> None:
    """Forget a stage."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    "name", [pytest.param("weights-*.safetensors", marks=pytest.mark.brief), "commit.json"]
)
def test_a_damaged_input_is_made_again(sweep: Sweep, reference: Sweep, name: str):
    """A flipped bit in a file that a later stage reads: refused, set aside, done again."""
    assert sweep.finish().returncode == 0
    (damaged,) = sweep.folder("fit softmax digits/0 seed 0 member 1").glob(name)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    for label in ("score pmal", "fit pmal", "pmal.mine"):
        remove(sweep.folder(label))
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((sweep.home / "store" / "damaged").iterdir())) == 1
    check_invariants(sweep, reference, clock=False)  # the input is younger than what read its twin


def test_damage_found_on_the_way_to_mlflow_is_made_again(sweep: Sweep, reference: Sweep):
    """MLflow's database is lost, a score and a fit are damaged: all of it comes back."""
    assert sweep.finish().returncode == 0
    (sweep.home / "mlflow" / "mlflow.db").unlink()
    for label, name in (("score cac", "scores-*"), ("fit cac", "history-*")):
        (damaged,) = sweep.folder(label).glob(name)
        damaged.write_bytes(b"PAR1")
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((sweep.home / "store" / "damaged").iterdir())) == 2
    check_invariants(sweep, reference, clock=False)  # the score may be made before its fit


@pytest.mark.brief
def test_a_lost_loss_takes_no_other_trial_with_it(sweep: Sweep, reference: Sweep):
    """One of the trials explodes and says so; the scores of the others are the same to the bit."""
    explodes = "softmax: [{}, {training: {lr: 1.0e+30}}]"
    sweep.text = SPEC.replace("softmax: {}", explodes)
    done = sweep.finish()
    assert done.returncode == 1
    assert "5 of 6 trials done" in done.stdout
    ours = pq.read_table(sweep.home / "exports" / "faults" / "scores.parquet")
    theirs = pq.read_table(reference.home / "exports" / "faults" / "scores.parquet")
    assert ours.equals(theirs)
    (failed,) = [run for run in mlflow_runs(sweep) if "stage_id" in run.data.tags
                 and run.info.status == "FAILED"]  # fmt: skip
    assert failed.data.tags["stage_id"] not in sweep.commits
    assert "not a finite number" in failed.data.tags["reason"]
    lost = sweep.stages.keys() - sweep.commits.keys()
    assert sorted(sweep.stages[stage_id]["kind"] for stage_id in lost) == ["fit", "score"]
    status = sweep.osr("status", "faults").stdout
    assert "Traceback (most recent call last)" in status


@dataclass
class SmallDisk:
    """A file system in memory whose size can be set."""

    place: Path

    def resize(self, num_bytes: int) -> None:
        """Not below what is used."""
        options = f"remount,size={num_bytes}"
        subprocess.run(["mount", "-o", options, str(self.place)], check=True)

    @property
    def used(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.place).used


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """400 kilobytes at first; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield SmallDisk(place)
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.brief
def test_a_full_disk_stops_cleanly_and_goes_on(small_disk: SmallDisk, reference: Sweep):
    """Full from the start, then in the middle: it is said what to do, and with room it goes on."""
    sweep = Sweep(small_disk.place / "home")
    check_full(sweep.finish())
    small_disk.resize(200_000_000)
    sweep.started_and_killed()
    committed = sweep.commits
    small_disk.resize(small_disk.used + 100_000)
    check_full(sweep.finish())
    assert committed.items() <= sweep.commits.items(), "a commit changed"
    assert len(sweep.commits) < NUM_STAGES
    small_disk.resize(200_000_000)
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert committed.items() <= sweep.commits.items(), "a commit changed"
    check_invariants(sweep, reference)


def check_full(done: subprocess.CompletedProcess[str]) -> None:
    """It ended by itself and says why."""
    assert done.returncode in (1, 3)
    assert "No space left on device" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("jump_s", [3600, -3600], ids=["ahead", "back"])
def test_a_clock_that_is_set_by_an_hour_changes_nothing(
    sweep: Sweep, reference: Sweep, jump_s: int
):
    """Summer time or a bad battery: leases and checkpoints do not compare clocks."""
    sweep.started_and_killed()
    before = sweep.commits
    sweep.with_code(
        "import time\nreal, start = time.time, time.monotonic()\n"
        f"time.time = lambda: real() + {jump_s} * (time.monotonic() - start > 4)\n"
    )
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    made = [commit for stage_id, commit in sweep.commits.items() if stage_id not in before]
    shifts = [commit["started_at"] - time.time() for commit in made]
    assert any(abs(shift - jump_s) < 1800 for shift in shifts), "the clock was never set"
    assert all(0 < commit["wall_s"] < 1800 for commit in made), "the hour was counted"
    check_invariants(sweep, reference, clock=False)


def test_changed_code_is_never_mixed_with_old_results(sweep: Sweep):
    """A raised version gives other ids: refused under the old name, and re-keyed if insisted on."""
    sweep.started_and_killed()
    before = sweep.commits
    sweep.with_code(
        "from osr_core.kinds import FIT\nobject.__setattr__(FIT, 'version', FIT.version + 1)\n"
    )
    refused = sweep.finish()
    assert refused.returncode == 2
    assert "stands for another sweep" in refused.stderr
    done = sweep.finish("--replace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert before.items() <= sweep.commits.items()
    fits = [i for i, stage in sweep.stages.items() if stage["kind"] == "fit"]
    assert len(fits) == NUM_FITS
    versions = {sweep.commits[stage_id]["stage"]["version"] for stage_id in fits}
    assert versions == {FIT.version + 1}
    assert set(fits).isdisjoint(before)
    running = [run for run in mlflow_runs(sweep) if run.info.status == "RUNNING"]
    assert not running, f"{running}, after {done.stdout}{done.stderr}"
