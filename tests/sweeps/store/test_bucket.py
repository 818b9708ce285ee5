"""The store in a bucket: the same promises, on a server that has neither links nor renames."""

import re
from collections import Counter

import pytest

from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running.worker import make
from sweeps.running.workplace import Workplace
from sweeps.store import bucket
from sweeps.store.files import DamagedError, StoreError
from sweeps.store.store import Store
from tests.bucket import Fault, Proxy, UriAt
from tests.sweeps.small import ID, SPEC, leave


def test_a_sweeps_stages_go_from_the_bucket_to_the_bucket(store: Store):
    """Every stage finds its inputs there, and a second worker finds all of it done."""
    plan = plan_with_data(parse_spec(SPEC, "bucket"), None)
    identities = {stage.id: stage.identity for stage in plan.stages.values()}
    for stage_id in plan.stages:
        make(stage_id, identities, Workplace(store=store.uri, data_root=None), store)
    other = Store(store.uri)
    assert other.committed(plan.stages) == set(plan.stages)
    assert all(other.read_all(stage_id) for stage_id in plan.stages)
    work = [file.name for file in other.files("work")]
    assert work == [], "what is of use to unfinished stages only"


def test_an_input_is_read_with_a_request_for_its_marker_and_one_for_each_artifact(
    store: Store, proxy: Proxy
):
    """Each costs tens of milliseconds at a server far away."""
    leave(store)
    proxy.seen.clear()
    assert store.read_all(ID) == {"a.bin": b"weights", "b.bin": b"more"}
    assert [request.split()[0] for request in proxy.seen] == ["GET"] * 3


def test_a_stage_reads_of_a_fit_its_marker_and_its_weights(store: Store, proxy: Proxy):
    """Its history, and what it asked of its machine, are for people."""
    plan = plan_with_data(parse_spec(SPEC, "bucket"), None)
    identities = {stage.id: stage.identity for stage in plan.stages.values()}
    score = next(stage for stage in plan.stages.values() if stage.kind.name == "score")
    (fit,) = score.inputs.values()
    place = Workplace(store=store.uri, data_root=None)
    make(fit.id, identities, place, store)
    proxy.seen.clear()
    make(score.id, identities, place, store)
    read = [what for what in proxy.seen if what.startswith("GET") and fit.id in what]
    assert [re.sub(r".*/|-\w+(?=\.)", "", what) for what in read] == [
        "commit.json",
        "weights.safetensors",
    ]


def test_a_small_file_is_written_with_one_request(store: Store, proxy: Proxy):
    """The server's ETag is the sum of what arrived, so that it need not be read back."""
    store._files.write("small", b"x" * 100_000)
    assert store._files.create("made", b"x")
    assert [request.split()[0] for request in proxy.seen] == ["PUT", "PUT"]


def test_a_large_file_is_written_in_parts(store: Store, proxy: Proxy):
    """Weights of a large network; the sum of the parts' sums is the server's, too."""
    content = bytes(range(256)) * 50_000  # 12.8 million bytes
    store._files.write("large", content)
    assert Counter(request.split()[0] for request in proxy.seen) == {"POST": 2, "PUT": 3}
    assert store._files.read("large") == content


def test_what_a_servers_tag_does_not_show_is_read_back(
    store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    """One that encrypts with a key of its own gives tags that say nothing of the content."""
    monkeypatch.setattr(bucket, "tag_of", lambda content: "another")
    store._files.write("small", b"whole")
    assert [request.split()[0] for request in proxy.seen] == ["PUT", "GET"]


def test_an_upload_that_arrives_otherwise_is_no_result(store: Store, proxy: Proxy):
    """An artifact is verified, and only then marked."""
    proxy.faults = [Fault("PUT .*/a-", "flip")]
    with pytest.raises(StoreError, match=r"a-\w+\.bin cannot be written: it reads otherwise"):
        leave(store)
    assert store.committed([ID]) == set()


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


def test_a_server_that_replaces_what_must_stay_is_refused(proxy: Proxy, own: UriAt):
    """Some ignore the condition, and two drivers would hold one sweep."""
    proxy.faults = [Fault("PUT .*/probe-", "agree")]
    with pytest.raises(StoreError, match="If-None-Match"):
        Store(own(proxy.port))
