"""The store in a bucket: the same promises, on a file system that has neither links nor renames.

The bucket here is one in memory.
"""

import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.commands.options import at
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running.worker import Workplace, make
from sweeps.store import bucket
from sweeps.store.bucket import BucketFiles
from sweeps.store.files import StoreError
from sweeps.store.leases import Fence, FencedError
from sweeps.store.store import DamagedError, Store
from tests.sweeps.small import ID, leave

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


class Hasty(BucketFiles):
    """Makes a file without looking whether there is one."""

    def _create(self, name: str, content: bytes) -> bool:
        self._write(name, content)
        return True


class Unaware(Store):
    """A worker that saw no marker, and uploads its own without looking again."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._files = Hasty(self._files._fs, self._files.root)

    def committed(self, ids: Iterable[str]) -> set[str]:
        return set()


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


def test_of_two_that_make_an_object_at_once_the_later_has_made_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Both see that it is not there, and upload; after a while both find the later one's."""
    other = {"pid": 2, "host": "there"}

    def upload_of_the_other(seconds: float) -> None:
        store.leases.write("digits", 1, other)

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", upload_of_the_other)
        assert not store.leases.create("digits", 1, {"pid": 1, "host": "here"})
    assert store.leases.latest("digits") == (1, other)
    assert not store.leases.create("digits", 1, {"pid": 3, "host": "elsewhere"})
    assert store.leases.create("digits", 2, {"pid": 3, "host": "elsewhere"})
    with pytest.raises(FencedError, match="process 3 on elsewhere"):
        store.leases.check(Fence("digits", 1))


def test_of_two_attempts_that_end_at_once_the_later_one_gives_the_result(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """The earlier one looks again after a while, and goes by the marker that it finds."""
    other = Unaware(store.uri)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: leave(other, b"other"))
        commit = leave(store)
    assert store.read(ID, "a.bin") == b"other"
    assert commit == store.read_commit(ID)


def test_a_marker_that_replaces_another_names_artifacts_that_are_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """An attempt that was sure to be the first must not have removed them as another's."""
    late = Unaware(store.uri)
    monkeypatch.setattr(bucket, "SETTLE_S", 0)
    monkeypatch.setattr(late.leases, "check", lambda fence: leave(store))  # before the late marker
    leave(late, b"other")
    assert store.read_all(ID) == {"a.bin": b"other", "b.bin": b"more"}


def test_an_upload_that_arrives_otherwise_is_no_result(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Written, read back, and only then marked."""
    monkeypatch.setattr(BucketFiles, "read", lambda self, name: b"half")
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
