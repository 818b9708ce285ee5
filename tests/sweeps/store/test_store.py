"""What is on the store is the truth, so it must be hard to break."""

import json
import tempfile
import threading
from pathlib import Path

import pytest

from osr_core.results.layout import FORMAT
from osr_core.results.saved_state import SavedState
from sweeps.store.files import DamagedError, StoreError
from sweeps.store.leases import Lease
from sweeps.store.store import Store
from tests.sweeps.small import ID, IDENTITY, leave

STATE = SavedState(b"the state of a fit", "3f" * 16)


def test_a_committed_stage_reads_back_as_it_was_left(tmp_path: Path):
    """Bytes, numbers and identity survive."""
    store = Store(tmp_path)
    leave(store)
    assert store.committed([ID, "ab" * 16]) == {ID}
    assert store.read_all(ID) == {"a.bin": b"weights", "b.bin": b"more"}
    commit = store.read_commit(ID)
    assert (commit.metrics, commit.stage) == ({"x": 0.5}, IDENTITY)


def test_a_second_commit_changes_nothing(tmp_path: Path):
    """Two workers may finish the same stage; committed results never change."""
    store = Store(tmp_path)
    leave(store)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    leave(store, content=b"other")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_attempts_that_end_at_the_same_time_leave_one_whole_result(tmp_path: Path):
    """Twenty attempts leave different bytes for one stage; the marker fits what lies there."""
    store, start = Store(tmp_path), threading.Barrier(20)
    rounds = [f"{number:02x}" + "0" * 30 for number in range(10)]

    def attempt(number: int) -> None:
        for stage_id in rounds:
            start.wait()
            artifacts = {"a.bin": bytes([number]) * 1000}
            store.commit(
                stage_id, IDENTITY, artifacts, {}, started_at=1.0, wall_s=1.0, host=str(number)
            )

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stage_id in rounds:
        winner = int(store.read_commit(stage_id).host)
        assert store.read_all(stage_id) == {"a.bin": bytes([winner]) * 1000}
        assert len(list((tmp_path / "stages" / stage_id[:2] / stage_id).iterdir())) == 2


def test_an_empty_marker_is_no_result_and_no_obstacle(tmp_path: Path):
    """A power cut may leave one."""
    store = Store(tmp_path)
    marker = tmp_path / "stages" / "3f" / ID / "commit.json"
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert store.committed([ID]) == set()
    leave(store)
    assert store.read(ID, "a.bin") == b"weights"


def test_only_a_damaged_result_is_set_aside(tmp_path: Path):
    """Of two workers that find the same damage, the slower one meets the result made again."""
    store = Store(tmp_path)
    leave(store)
    store.set_aside(ID)
    assert store.committed([ID]) == {ID}
    assert store.to_make_again([ID]) == set()
    (path,) = (tmp_path / "stages" / "3f" / ID).glob("a-*.bin")
    path.unlink()
    store.set_aside(ID)
    assert store.committed([ID]) == set()
    assert store.to_make_again([ID]) == {ID}
    leave(store)
    assert store.to_make_again([ID]) == set()


def test_a_result_that_is_being_written_is_not_set_aside(tmp_path: Path):
    """By a worker that makes it again, while a slower one acts on the damage it saw before."""
    store = Store(tmp_path)
    leave(store)
    (tmp_path / "stages" / "3f" / ID / "commit.json").unlink()
    store.set_aside(ID)
    assert len(list((tmp_path / "stages" / "3f" / ID).iterdir())) == 2
    assert store.to_make_again([ID]) == set()


@pytest.mark.parametrize("content", [b"", b"{"])
def test_a_damaged_note_is_named(tmp_path: Path, content: bytes):
    """It holds no result, so the way out is to delete it."""
    store = Store(tmp_path)
    for name, read in (
        (f"retries/{ID}.json", lambda: store.attempts.retries(ID)),
        (f"failures/{ID}.json", lambda: store.attempts.failures([ID])),
        (f"work/{ID}.progress", lambda: store.attempts.progress([ID])),
        ("sweeps/digits.json", lambda: store.sweep("digits")),
        ("leases/digits/1.json", lambda: store.leases.latest("digits")),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"{name} is damaged.*delete it"):
            read()


def test_artifacts_without_their_marker_are_not_a_result(tmp_path: Path):
    """A worker that died before the marker has left nothing."""
    store = Store(tmp_path)
    leave(store)
    (tmp_path / "stages" / "3f" / ID / "commit.json").unlink()
    assert store.committed([ID]) == set()
    with pytest.raises(StoreError, match="run its sweep"):
        store.read(ID, "a.bin")


@pytest.mark.parametrize("damage", [b"", b"weighty", None], ids=["truncated", "changed", "gone"])
def test_a_damaged_artifact_is_refused_by_name(tmp_path: Path, damage: bytes | None):
    """A wrong number in a table is worse than a missing one."""
    store = Store(tmp_path)
    leave(store)
    (path,) = (tmp_path / "stages" / "3f" / ID).glob("a-*.bin")
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(StoreError, match=r"a-\w+\.bin is missing or does not match its checksum"):
        store.read(ID, "a.bin")


@pytest.mark.parametrize(
    ("healthy", "damaged"),
    [(b'{"', b'"{'), (b'"x":0.5', b'"x":0.7'), (b'"checksum":', b'"Checksum":')],
    ids=["no JSON", "another number", "no checksum"],
)
def test_a_damaged_marker_is_refused_by_name(tmp_path: Path, healthy: bytes, damaged: bytes):
    """Metrics stand nowhere else: one flipped digit would reach the table."""
    store = Store(tmp_path)
    leave(store)
    path = tmp_path / "stages" / "3f" / ID / "commit.json"
    assert healthy in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(healthy, damaged, 1))
    with pytest.raises(DamagedError, match=r"commit\.json is damaged"):
        store.read_commit(ID)
    store.set_aside(ID)
    assert store.to_make_again([ID]) == {ID}


def test_a_store_of_another_version_is_refused(tmp_path: Path):
    """Old code must not write into a newer layout."""
    (tmp_path / "FORMAT").write_text("osr-sweeps store 9")
    with pytest.raises(StoreError, match="osr-sweeps store 9"):
        Store(tmp_path)
    assert (tmp_path / "FORMAT").read_text() != FORMAT


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    """Not after an hour of training."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--home"):
        Store(tmp_path / "file" / "store")


@pytest.mark.usefixtures("unprivileged")
def test_a_read_only_folder_is_said_at_once():
    """The same for permissions."""
    with pytest.raises(StoreError, match="--home"):
        Store("/osr-home/store")


@pytest.mark.usefixtures("unprivileged")
def test_a_store_that_may_only_be_read_can_be_read():
    """Results of others are looked at; a driver is refused before it starts anything."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        leave(store)
        folders = [Path(folder), *(path for path in Path(folder).rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            assert Store(folder).read(ID, "a.bin") == b"weights"
            with (
                pytest.raises(StoreError, match="give permission"),
                Lease(Store(folder).leases, "digits", take_over=False),
            ):
                raise AssertionError("it must not be entered")
            assert Store(folder).committed([ID]) == {ID}
        finally:
            for path in folders:
                path.chmod(0o755)


def test_a_commit_clears_the_failure_and_the_checkpoint(tmp_path: Path):
    """`osr status` must not show a failure that a later attempt mended."""
    store = Store(tmp_path)
    store.attempts.save_failure(ID, "out of luck", "Traceback ...")
    store.attempts.save_checkpoint(ID, STATE)
    assert store.attempts.failures([ID])[ID]["reason"] == "out of luck"
    assert store.attempts.load_checkpoint(ID) == STATE
    leave(store)
    assert store.attempts.failures([ID]) == {}
    assert store.attempts.load_checkpoint(ID) is None


def test_paths_with_spaces_and_unicode_work(tmp_path: Path):
    """People name folders as they like."""
    store = Store(tmp_path / "mes résultats 1")
    leave(store)
    assert store.read(ID, "a.bin") == b"weights"


def test_sweeps_are_listed_by_name(tmp_path: Path):
    """A name stands for a plan."""
    store = Store(tmp_path)
    assert store.sweeps() == []
    store.save_sweep("digits", {"trials": []})
    assert store.sweeps() == ["digits"]
    assert store.sweep("digits") == json.loads('{"trials": []}')
    assert store.sweep("other") is None


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None], ids=["empty", "other", "flipped"])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, damage: bytes | None):
    """A fit that went on from it would leave other weights, or fail in every launch."""
    store = Store(tmp_path)
    store.attempts.save_checkpoint(ID, STATE)
    path = tmp_path / "work" / f"{ID}.checkpoint"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert store.attempts.load_checkpoint(ID) is None
    assert not path.exists()


def test_what_a_kill_just_after_the_commit_left_is_tidied(tmp_path: Path):
    """A checkpoint and a failure of a committed stage go, those of others stay."""
    store, other = Store(tmp_path), "ab" * 16
    leave(store)
    for stage_id in (ID, other):
        store.attempts.save_checkpoint(stage_id, STATE)
        store.attempts.save_failure(stage_id, "out of luck", "Traceback ...")
    store.tidy([ID, other])
    assert (store.attempts.load_checkpoint(ID), store.attempts.failures([ID])) == (None, {})
    assert store.attempts.load_checkpoint(other) == STATE
    assert store.attempts.failures([other]).keys() == {other}
