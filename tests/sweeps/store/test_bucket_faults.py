"""A server that is late, busy, silent or not there: nothing is made twice, and nothing hangs."""

import os
import re
import signal
import threading
from collections.abc import Callable
from functools import partial

import pytest

from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause
from sweeps.running.retries import RETRIES
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store import bucket
from sweeps.store.bucket import files_at
from sweeps.store.files import FileError, StoreError, UnreachableError
from sweeps.store.leases import Fence, FencedError
from sweeps.store.store import Store
from tests.bucket import Fault, Proxy, UriAt
from tests.faults.harness import WAIT_S, free_port
from tests.sweeps.running.one_by_one import STAGE
from tests.sweeps.small import ID, SPEC, leave

MARKER, LEASE = r"PUT .*/commit\.json", r"PUT .*/1\.json"


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """What each gives; they begin together."""
    begin, given = threading.Barrier(len(deeds)), [object()] * len(deeds)

    def one(number: int) -> None:
        begin.wait()
        given[number] = deeds[number]()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given


def test_of_four_that_make_a_file_at_once_one_has_made_it(s3_port: int, own: UriAt):
    """A hundred times, 25 at once; the others hear it, and its content is what lies there."""
    writers = [files_at(own(s3_port)) for _ in range(4)]
    for first in range(0, 100, 25):
        names = [f"leases/{number}.json" for number in range(first, first + 25)]
        tasks = [(name, str(number)) for name in names for number in range(4)]
        deeds = [partial(writers[int(who)].create, name, who.encode()) for name, who in tasks]
        made = [task for task, won in zip(tasks, at_once(*deeds), strict=True) if won]
        assert [name for name, _ in made] == names
        assert [(name, writers[0].read(name)) for name in names] == [
            (name, who.encode()) for name, who in made
        ]


def test_a_marker_that_arrives_late_replaces_nothing(proxy: Proxy, s3_port: int, own: UriAt):
    """One attempt's upload is held up until another has left its result and tidied up."""
    late, other = Store(own(proxy.port)), Store(own(s3_port))
    proxy.faults = [held := Fault(MARKER, "hold", times=1)]
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(leave(late, b"late")))
    thread.start()
    assert held.met.wait(WAIT_S)
    first = leave(other, b"first")
    held.released.set()
    thread.join()
    assert given == [first]
    assert other.read_commit(ID) == first
    assert late.read_all(ID) == {"a.bin": b"first", "b.bin": b"more"}
    assert len(late.files("stages")) == 3, "the late attempt left something"


def test_a_marker_that_arrives_when_its_attempt_has_given_up_replaces_nothing(
    proxy: Proxy, s3_port: int, own: UriAt, monkeypatch: pytest.MonkeyPatch
):
    """Its worker hears nothing, and the upload goes on by itself."""
    monkeypatch.setitem(bucket.CLIENT, "read_timeout", "1s")
    monkeypatch.setitem(bucket.RETRIES, "max_retries", 10)  # of what is not held up
    late, other = Store(own(proxy.port)), Store(own(s3_port))
    proxy.faults = [held := Fault(MARKER, "hold", times=1)]
    with pytest.raises(StoreError, match=r"commit\.json cannot be written"):
        leave(late, b"late")
    first = leave(other, b"first")
    held.released.set()
    assert held.done.wait(WAIT_S)
    assert (other.read_commit(ID), other.read(ID, "a.bin")) == (first, b"first")


def test_a_lease_that_arrives_late_is_nobodys(proxy: Proxy, s3_port: int, own: UriAt):
    """Its driver takes the next number or is told who holds the sweep."""
    late, other = Store(own(proxy.port)), Store(own(s3_port))
    proxy.faults = [held := Fault(LEASE, "hold", times=1)]
    made: list[bool] = []
    thread = threading.Thread(
        target=lambda: made.append(late.leases.create("digits", 1, {"pid": 1, "host": "late"}))
    )
    thread.start()
    assert held.met.wait(WAIT_S)
    assert other.leases.create("digits", 1, {"pid": 2, "host": "here"})
    held.released.set()
    thread.join()
    assert made == [False]
    assert late.leases.latest("digits") == (1, {"pid": 2, "host": "here"})
    assert late.leases.create("digits", 2, {"pid": 1, "host": "late"})
    with pytest.raises(FencedError, match="process 1 on late"):
        other.leases.check(Fence("digits", 1))


@pytest.mark.parametrize("deed", ["lose", "slow"])
def test_who_hears_no_answer_knows_its_own_file(
    store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, deed: str
):
    """The server has made it, but the connection broke or the answer came too late."""
    monkeypatch.setitem(bucket.CLIENT, "read_timeout", "1s")
    monkeypatch.setitem(bucket.RETRIES, "max_retries", 10)  # of what is not slow
    store = Store(store.uri)
    proxy.faults = [Fault(MARKER, deed, times=1), Fault(LEASE, deed, times=1)]
    commit = leave(store)
    assert commit == store.read_commit(ID)
    assert store.read_all(ID) == {"a.bin": b"weights", "b.bin": b"more"}
    assert store.leases.create("digits", 1, {"pid": 1, "host": "here"})
    assert not store.leases.create("digits", 1, {"pid": 2, "host": "there"})


@pytest.mark.parametrize("deed", ["busy", "hang up"])
def test_what_a_server_fails_to_do_is_asked_again(store: Store, proxy: Proxy, deed: str):
    """In one place, so that each request is sent three times and not nine."""
    files = store._files
    for use in (
        lambda: files.write("work/a", b"one"),
        lambda: files.create("work/b", b"two"),
        lambda: files.read("work/a") == b"one",
        lambda: files.sizes(["work/a"]) == {"work/a": 3},
        lambda: len(files.below("work")) == 2,
        lambda: files.delete("work/a"),
    ):
        proxy.seen.clear()
        proxy.faults = [Fault(".*", deed, times=2)]
        assert use() in (None, True)
        assert len(proxy.seen) == 3
        assert len(set(proxy.seen)) == 1


@pytest.mark.parametrize("deed", ["busy", "hang up", "hold"])
def test_a_server_that_goes_on_failing_is_said(
    store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, deed: str
):
    """In bounded time, and in words that fit a bucket."""
    monkeypatch.setitem(bucket.CLIENT, "read_timeout", "0.1s")
    files = files_at(store.uri)
    proxy.faults = [Fault(".*", deed)]
    proxy.seen.clear()
    for use in (lambda: files.write("work/a", b""), lambda: files.read("work/a")):
        with pytest.raises(UnreachableError, match="reach the bucket") as said:
            use()
        assert "Make room" not in str(said.value)
        assert "Debug" not in str(said.value)
    assert len(proxy.seen) == 2 * 3


def test_a_bucket_that_is_not_there_is_said_in_its_words(own: UriAt):
    """A folder to choose would not help."""
    with pytest.raises(StoreError, match="Check the bucket, region and endpoint") as said:
        Store(own(port := free_port()))
    assert f"store {own(port)} cannot be used: " in str(said.value)
    assert "--home" not in str(said.value)


def test_wrong_keys_are_said(s3_port: int, own: UriAt, monkeypatch: pytest.MonkeyPatch):
    """By the variables in which they are, and in the server's own words."""
    for name, value, words in (
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "InvalidAccessKeyId"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(StoreError, match=f"{words}.*{name}"):
                Store(own(s3_port))
            with pytest.raises(FileError, match=words) as said:
                files_at(own(s3_port)).write("work/a", b"")
            assert not isinstance(said.value, UnreachableError), "waiting would not help"


@pytest.mark.parametrize(
    "requests", [r"PUT .*\.progress", r"PUT .*\.log", "GET .*orders/", "PUT .*claims/"]
)
def test_a_fit_goes_on_to_its_end_without_its_notes(store: Store, proxy: Proxy, requests: str):
    """Notes are for people, orders can be read later, and a claim only saves work."""
    plan = plan_with_data(parse_spec(SPEC, "bucket"), None)
    fit = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    store.leases.create("bucket", 1, {"pid": 1, "host": "here"})
    place = Workplace(store=store.uri, data_root=None, fence=Fence("bucket", 1))
    proxy.faults = [Fault(requests, "busy")]
    outcome = work(fit.id, {fit.id: fit.identity}, place)
    assert outcome.cause is None, outcome.reason
    assert store.committed([fit.id]) == {fit.id}
    assert proxy.faults[0].met.is_set()


def test_a_fit_outlives_a_checkpoint_that_cannot_be_saved(store: Store, proxy: Proxy):
    """The bucket is away after its first epoch; its state is saved after the second."""
    plan = plan_with_data(parse_spec({**SPEC, "training": {"epochs": 2}}, "bucket"), None)
    fit = next(stage for stage in plan.stages.values() if stage.kind.name == "fit")
    place = Workplace(store=store.uri, data_root=None, checkpoint_every_s=0.0)
    proxy.faults = [Fault(r"PUT .*\.checkpoint", "busy", times=3)]
    outcome = work(fit.id, {fit.id: fit.identity}, place)
    assert outcome.cause is None, outcome.reason
    assert sum(bool(re.search(r"PUT .*\.checkpoint", what)) for what in proxy.seen) == 3 + 1
    assert "the state is not saved now: " in str(store.attempts.log(fit.id))


@pytest.mark.parametrize("requests", [".*", r"PUT .*/commit\.json"], ids=["all", "the marker"])
def test_an_attempt_that_cannot_reach_the_bucket_says_so(store: Store, proxy: Proxy, requests: str):
    """At its beginning or its end: nothing is said of the stage, which may be tried more often."""
    proxy.faults = [Fault(requests, "busy")]
    place = Workplace(store=store.uri, data_root=None)
    outcome = work(STAGE.id, {STAGE.id: STAGE.identity}, place)
    assert outcome.cause == Cause.UNREACHABLE
    assert RETRIES[Cause.UNREACHABLE] > RETRIES[Cause.ERROR]


def test_a_signal_is_heard_while_the_bucket_is_silent(store: Store, proxy: Proxy):
    """A driver that waits for its bucket is told to stop; here it hears it before the answer."""
    store._files.write("work/a", b"one")
    proxy.faults = [held := Fault("GET .*work/a", "hold", times=1)]
    heard: list[bool] = []

    def hear(number: int, frame: object) -> None:
        heard.append(held.released.is_set())
        held.released.set()

    def send() -> None:
        assert held.met.wait(WAIT_S)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, hear)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert store._files.read("work/a") == b"one"
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)
    assert heard == [False]


def test_a_retry_that_cannot_be_noted_ends_no_sweep(store: Store, proxy: Proxy):
    """It is printed, too; a stage that is given up must be noted."""
    proxy.faults = [Fault("PUT .*", "busy")]
    store.attempts.save_retry(ID, "worker process died", "SIGKILL")
    assert store.attempts.retries(ID) == []
    with pytest.raises(FileError):
        store.attempts.save_failure(ID, "out of luck", "")
