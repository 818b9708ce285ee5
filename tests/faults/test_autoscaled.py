"""A cluster to which Ray itself adds machines by demand, and from which it takes idle ones."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster
from ray.util import get_node_ip_address

from tests.faults.harness import WAIT_S, free_port, kill_all, wait_until
from tests.faults.test_elastic import HEAD, on_gpus

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]
FAKE = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
PROVIDER = {
    **{"type": "external", "module": FAKE, "launch_multiple": True, "use_node_id_as_ip": True},
    **{"disable_node_updaters": True, "disable_launch_config_check": True},
}
TYPES = {
    "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
    "core": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 1, "max_workers": 1},
    "gpu": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "max_workers": 4},
}
LISTS = (
    *("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands"),
    *("setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
)
CONFIG = {
    **{"cluster_name": "pretended", "max_workers": 5, "upscaling_speed": 100},
    **{"idle_timeout_minutes": 0.1, "head_node_type": "head", "available_node_types": TYPES},
    **{"auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False},
    **{name: [] for name in LISTS},
}


@contextmanager
def autoscaled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster with a core, to which Ray adds up to four machines with a GPU by demand.

    Its machines are processes here. Ray's AutoscalingCluster does the same, but needs a file that
    Ray's wheel lacks, and ends whatever else runs of Ray on this machine.
    """
    port, file = free_port(), folder / "autoscaling.json"
    provider = {**PROVIDER, "gcs_address": f"{get_node_ip_address()}:{port}"}
    file.write_text(json.dumps({**CONFIG, "provider": provider}))
    monkeypatch.setenv("RAY_FAKE_CLUSTER", "1")
    monkeypatch.setenv("AUTOSCALER_UPDATE_INTERVAL_S", "1")
    head = {**HEAD, "gcs_server_port": port, "autoscaling_config": str(file)}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        started = psutil.Process().children(recursive=True)
        cluster.shutdown()
        kill_all(started)  # with the machines that are still there


def num_gpus(cluster: Cluster) -> float:
    """Of all machines that are there."""
    nodes = cluster.global_state.node_table()
    return float(sum(node["Resources"].get("GPU", 0) for node in nodes if node["Alive"]))


def test_fits_bring_gpus_from_none_to_four_and_leave_them_to_go_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What asked for a GPU begins on none else; what asked for none needs none."""
    sweep, begun = on_gpus(tmp_path, monkeypatch, epochs=2)
    with autoscaled(tmp_path, monkeypatch) as cluster:
        wait_until(lambda: len(cluster.global_state._live_node_ids()) == 2, "the core")
        assert num_gpus(cluster) == 0
        driver = sweep.start("--address", cluster.address)
        wait_until(lambda: len(sweep.under_way) == 4, "four fits at once")
        assert num_gpus(cluster) == 4
        sweep.hurry()
        assert driver.wait(WAIT_S) == 0, sweep.log
        wait_until(lambda: num_gpus(cluster) == 0, "the last idle GPU to go")
    assert set(begun.read_text().splitlines()) == {"fit 1.0", "score 0.0"}
    assert set(sweep.retries) <= {"node lost"}, "a score may have gone to a machine that went"
    assert "4 of 4 trials done; this launch started 8 of 8 stages" in sweep.log
