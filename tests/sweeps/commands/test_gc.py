"""`osr gc` deletes what no sweep needs, and nothing that someone may be working on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweeps.commands.app import app
from sweeps.store.cleaning import DAY_S, unneeded
from sweeps.store.leases import Lease, LeaseHeldError
from sweeps.store.store import Store

NEEDED, OTHER, YOUNG = "3f" + "0" * 30, "4a" + "1" * 30, "5b" + "2" * 30
HOLD = """
import sys, time
from sweeps.store.leases import Lease
from sweeps.store.store import Store
with Lease(Store(sys.argv[1]).leases, "running", take_over=False):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One sweep, which needs one of two results."""
    made = Store(tmp_path / "home" / "store")
    for stage_id in (NEEDED, OTHER):
        made.commit(
            stage_id, {}, {"a.bin": b"weights"}, {}, started_at=1.0, wall_s=1.0, host="here"
        )
    for name in ("small", "running"):
        made.save_sweep(name, {"trials": [], "stages": [{"stage_id": NEEDED, "label": "needed"}]})
    return made


def place(store: Store, name: str, content: bytes = b"12345", *, days: float = 0.0) -> Path:
    """A file in the store, written so many days ago."""
    path = Path(store.uri) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def gc(store: Store, *arguments: str, answer: str = "") -> Result:
    """The command as typed."""
    home = str(Path(store.uri).parent)
    return CliRunner().invoke(app, ["gc", *arguments, "--home", home], input=answer)


def test_a_result_that_no_sweep_needs_goes(store: Store) -> None:
    """And the needed one stays whole."""
    done = gc(store, answer="y\n")
    assert f"stages/4a/{OTHER}" in done.stdout
    assert NEEDED not in done.stdout
    assert store.committed([NEEDED, OTHER]) == {NEEDED}
    assert store.read(NEEDED, "a.bin") == b"weights"
    assert unneeded(store, {NEEDED}) == {}


def test_what_goes_is_called_by_its_name(store: Store) -> None:
    """A hash tells nobody what would be lost; a temporary file's stage is known, too."""
    stage = {"stage_id": OTHER, "label": "fit cac digits/3 seed 0"}
    store.save_sweep("old", {"trials": [], "stages": [stage]})
    place(store, f"work/.{OTHER}.checkpoint.6c3d.tmp", days=2)
    place(store, f"work/{YOUNG}.checkpoint", days=2)
    lines = gc(store, "small", answer="n\n").stdout.splitlines()
    assert dict(line.split(maxsplit=3)[2:] for line in lines[:3]) == {
        f"stages/4a/{OTHER}": "fit cac digits/3 seed 0 (old)",
        f"work/.{OTHER}.checkpoint.6c3d.tmp": "fit cac digits/3 seed 0 (old)",
        f"work/{YOUNG}.checkpoint": "of no sweep's plan",
    }


def test_without_a_yes_nothing_goes(store: Store) -> None:
    """It is shown and asked for."""
    asked = gc(store, answer="n\n")
    assert asked.exit_code == 0
    assert f"stages/4a/{OTHER}" in asked.stdout
    assert "that none of these needs: running, small\nDelete them? [y/N]" in asked.stdout
    assert store.committed([OTHER]) == {OTHER}


@pytest.mark.parametrize(
    "name",
    [
        f"stages/5b/{YOUNG}/weights.safetensors",  # its marker is about to be written
        f"work/{YOUNG}.checkpoint",
        f"work/.{NEEDED}.checkpoint.6c3d.tmp",
        f"stages/3f/{NEEDED}/.commit.json.6c3d.tmp",
        f"failures/{YOUNG}.json",
        f"logs/{YOUNG}.log",
    ],
)
def test_what_is_not_committed_is_left_alone_for_a_day(store: Store, name: str) -> None:
    """Someone may be writing it; what is still there a day later was left by the dead."""
    store.delete([f"stages/4a/{OTHER}"])
    place(store, name, days=0.9)
    assert unneeded(store, {NEEDED}) == {}
    path = place(store, name, days=1.1)
    (listed,) = unneeded(store, {NEEDED})
    assert name.startswith(listed)
    gc(store, "--yes")
    assert not path.exists()
    assert store.read(NEEDED, "a.bin") == b"weights"


def test_a_checkpoint_of_a_needed_stage_stays_however_old(store: Store) -> None:
    """Its sweep was stopped and will go on from it."""
    place(store, f"work/{NEEDED}.checkpoint", days=90)
    assert unneeded(store, {NEEDED, OTHER}) == {}


def test_beside_a_running_sweep_it_is_refused(store: Store) -> None:
    """A driver in another process, also where its sweep is not among those to keep."""
    driver = subprocess.Popen(
        [sys.executable, "-c", HOLD, store.uri], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert driver.stdout.readline() == "held\n"
        refused = gc(store, "small", "--yes")
        driver.kill()
        driver.wait()
    assert isinstance(refused.exception, LeaseHeldError)
    assert f"'running' is being run by process {driver.pid}" in str(refused.exception)
    assert store.committed([OTHER]) == {OTHER}
    gc(store, "small", "--yes")  # a dead driver holds nothing up
    assert store.committed([OTHER]) == set()


def test_a_sweep_that_begins_at_the_question_is_safe(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has claimed what was shown, or is running, when the answer comes."""
    record = {"trials": [], "stages": [{"stage_id": OTHER, "label": "other"}]}

    def claim(*_: object) -> bool:
        store.save_sweep("new", record)
        return True

    monkeypatch.setattr("typer.confirm", claim)
    assert gc(store).exit_code == 0
    assert "new" in store.sweeps()
    assert store.committed([OTHER]) == {OTHER}

    held = Lease(store.leases, "running", take_over=False)
    monkeypatch.setattr("typer.confirm", lambda *_: bool(held.__enter__()))
    refused = gc(store, "small")
    held.__exit__(None, None, None)
    assert isinstance(refused.exception, LeaseHeldError)
    assert store.committed([OTHER]) == {OTHER}


def test_a_damaged_result_that_awaits_its_remaking_stays(store: Store) -> None:
    """Its folder is the only note of that; once the stage is made again it goes."""
    (path,) = (Path(store.uri) / "stages" / "3f" / NEEDED).glob("a-*.bin")
    path.write_bytes(b"PAR1")
    store.set_aside(NEEDED)
    gc(store, "--yes")
    assert store.to_make_again([NEEDED]) == {NEEDED}
    store.commit(NEEDED, {}, {"a.bin": b"weights"}, {}, started_at=1.0, wall_s=1.0, host="here")
    gc(store, "--yes")
    assert list((Path(store.uri) / "damaged").iterdir()) == []
