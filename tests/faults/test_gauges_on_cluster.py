"""What Prometheus finds of a sweep on a cluster."""

import re
import urllib.request
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.faults.harness import WAIT_S, Sweep, free_port, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]


def scraped(port: int) -> dict[str, dict[str, float]]:
    """Our gauges of the sweep: by name, the values by state or cause."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, tags, value in re.findall(r"^ray_(osr_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        told = dict(re.findall(r'(\w+)="([^"]*)"', tags))
        if told.get("sweep") == "faults":
            key = told.get("state") or told.get("cause") or ""
            found.setdefault(name, {})[key] = float(value)
    return found


def test_prometheus_sees_the_stages_of_a_sweep_and_how_fast_its_store_is(tmp_path: Path):
    """At the port of the machine on which the driver runs, beside what Ray shows there."""
    sweep, port = Sweep(tmp_path / "home"), free_port()
    head = {"num_cpus": 1, "include_dashboard": False, "metrics_export_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        driver = sweep.start("--address", cluster.address)
        wait_until(lambda: scraped(port).get("osr_stages", {}).get("done", 0) > 0, "a stage")
        seen = scraped(port)
        assert driver.wait(WAIT_S) == 0, sweep.log
    finally:
        cluster.shutdown()
    states = {"done", "running", "queued", "failed", "waiting"}
    assert seen["osr_stages"].keys() == states
    assert sum(seen["osr_stages"].values()) == len(sweep.stages)
    assert 0 < seen["osr_store_seconds"][""] < 60
