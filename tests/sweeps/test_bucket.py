"""The store in a bucket: the same promises, on a file system that has neither links nor renames.

The bucket here is one in memory, which all threads of this process share.
"""

import threading
import uuid
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps import files
from sweeps.lease import Lease, LeaseHeldError
from sweeps.options import at
from sweeps.runner import plan_with_data
from sweeps.spec import parse_spec
from sweeps.store import DamagedError, Store, StoreError
from sweeps.work import Workplace, make

ID = "3f" + "0" * 30
SPEC = {
    "name": "bucket",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125},
    "training": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0},
    "methods": {"softmax": {}, "openmax": {}},
}


@pytest.fixture
def store() -> Store:
    """An empty one."""
    return Store(f"fsspec+memory://{uuid.uuid4().hex}/store")


def leave(store: Store, content: bytes = b"weights") -> None:
    """Commit a small stage."""
    store.commit(ID, {}, {"a.bin": content}, {"x": 0.5}, started_at=1.0, host="here")


def test_a_sweeps_stages_go_from_the_bucket_to_the_bucket(store: Store):
    """Every stage finds its inputs there, and a second worker finds all of it done."""
    plan = plan_with_data(parse_spec(SPEC, "bucket"), None)
    identities = {stage.id: stage.identity for stage in plan.stages.values()}
    for stage_id in plan.stages:
        make(stage_id, identities, Workplace(store=store.uri, data_root=None), store)
    other = Store(store.uri)
    assert other.committed(plan.stages) == set(plan.stages)
    assert all(other.read_all(stage_id) for stage_id in plan.stages)


def test_the_first_commit_stays_and_damage_is_seen(store: Store):
    """As in a folder."""
    leave(store)
    leave(store, b"other")
    assert store.read(ID, "a.bin") == b"weights"
    (file,) = (file for file in store.files("stages") if "a-" in file.name)
    store._files.write(file.name, b"PAR1")
    with pytest.raises(DamagedError, match="does not match its checksum"):
        store.read(ID, "a.bin")
    store.set_aside(ID)
    assert (store.committed([ID]), store.to_make_again([ID])) == (set(), {ID})
    leave(store)
    assert store.read(ID, "a.bin") == b"weights"
    store.delete([file.name.rpartition("/")[0]])
    assert store.committed([ID]) == set()


def test_of_attempts_that_end_together_the_result_is_whole(store: Store):
    """Whichever marker stays, the artifacts that it names are there."""
    start = threading.Barrier(8)

    def attempt(number: int) -> None:
        start.wait()
        leave(store, bytes([number]) * 100)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = store.read(ID, "a.bin")
    assert content == content[:1] * 100


def test_of_drivers_that_begin_together_one_runs(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The others see who was faster; a busy machine may need seconds for an upload."""
    monkeypatch.setattr(files, "SETTLE_S", 6.0)
    start, won, refused = threading.Barrier(4), [], []
    over = threading.Event()

    def drive() -> None:
        start.wait()
        try:
            with Lease(store, "digits", take_over=False) as lease:
                won.append(lease.number)
                over.wait(60)
        except LeaseHeldError as error:
            refused.append(str(error))
            if len(refused) == 3:
                over.set()

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won, len(refused)) == ([1], 3)


def test_an_upload_that_arrives_otherwise_is_no_result(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Written, read back, and only then marked."""
    monkeypatch.setattr(files.BucketFiles, "read", lambda self, name: b"half")
    with pytest.raises(StoreError, match="otherwise"):
        leave(store)
    monkeypatch.undo()
    assert store.committed([ID]) == set()


def test_where_the_store_lies_is_said_by_a_variable(monkeypatch: pytest.MonkeyPatch):
    """A path cannot hold a URI, and a folder is no bucket."""
    monkeypatch.setenv("OSR_STORE", "s3://bucket/osr")
    assert at(Path("home")).store == "s3://bucket/osr"
    with pytest.raises(ConfigError, match="OSR_STORE"):
        at(Path("s3://bucket/osr"))
    monkeypatch.setenv("OSR_STORE", "/srv/osr")
    with pytest.raises(ConfigError, match="s3://"):
        at(Path("home"))
