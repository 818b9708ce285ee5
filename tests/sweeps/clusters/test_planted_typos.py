"""Typos planted into files that start clusters; Ray's own check lets most of them pass."""

import copy
from pathlib import Path
from typing import Any

import pytest

from sweeps.clusters import launcher
from sweeps.planning.yaml_values import read_yaml

ROOT = Path(__file__).parents[3]
GCP = """
cluster_name: osr
max_workers: 8
provider: {type: gcp, region: us-central1, availability_zone: us-central1-a, project_id: mine}
auth: {ssh_user: ubuntu}
head_node_type: head
available_node_types:
  head:
    resources: {CPU: 0}
    node_config: &node
      machineType: n2-standard-4
      disks: [{boot: true, autoDelete: true, initializeParams: {diskSizeGb: 200}}]
  gpu_spot:
    max_workers: 8
    resources: {CPU: 8, GPU: 1}
    node_config: {<<: *node, machineType: g2-standard-8, scheduling: {provisioningModel: SPOT}}
file_mounts: {~/osr: ./deploy/node}
head_start_ray_commands: [ray start --head --port=6379]
worker_start_ray_commands: [ray start --address=$RAY_HEAD_IP:6379]
"""
TYPES = "available_node_types"
PATHS = {"aws": "cluster.yaml", "local": "deploy/hosts.yaml"}
SPOT = f"{TYPES}.gpu_spot.node_config"


def plant(config: dict[str, Any], place: str, value: Any) -> None:
    """Change one value of a file, by the keys that lead there."""
    inner: Any = config
    *above, last = (int(key) if key.isdigit() else key for key in place.split("/"))
    for key in above:
        inner = inner[key]
    inner[last] = value


# The file, where the typo stands, the value there, and what is said of it.
PLANTED = [
    ("aws", "idle_timeout_minute", 5, "'idle_timeout_minute' does not exist. Did you mean"),
    ("aws", f"{TYPES}/gpu/max_worker", 5, f"{TYPES}.gpu: the field 'max_worker' does not exist."),
    ("aws", "provider/regio", "x", "provider: the field 'regio' does not exist. Did you mean 'reg"),
    ("aws", "provider/cache_stopped_node", False, "Did you mean 'cache_stopped_nodes'?"),
    ("aws", "auth/ssh_usr", "x", "auth: the field 'ssh_usr' does not exist. Did you mean 'ssh_us"),
    ("aws", f"{TYPES}/gpu/node_config/InstanceTyp", "x", "Did you mean 'InstanceType'?"),
    (
        *("aws", f"{TYPES}/gpu/node_config/InstanceType", "g6.2xlage"),
        f"{TYPES}.gpu.node_config.InstanceType: the value 'g6.2xlage' does not exist. Did you mean "
        "'g6.2xlarge'?",
    ),
    (
        *("aws", f"{TYPES}/gpu/node_config/BlockDeviceMappings/0/Ebs/VolumSize", 1),
        "BlockDeviceMappings[0].Ebs: the field 'VolumSize' does not exist. Did you mean 'VolumeSi",
    ),
    (
        *("aws", f"{TYPES}/gpu_spot/node_config/InstanceMarketOptions/MarketTyp", "spot"),
        f"{SPOT}.InstanceMarketOptions: the field 'MarketTyp' does not exist. Did you mean 'Market",
    ),
    ("aws", "head_node_type", "haed", "the type 'haed' does not exist. Did you mean 'head'?"),
    ("aws", f"{TYPES}/gpu/min_workers", 5, "min_workers is 5; it must be at most max_workers, 2."),
    (
        *("aws", f"{TYPES}/gpu_spot/min_workers {TYPES}/gpu_spot/max_workers", 9),
        "max_workers is 8; it must be at least 9, the sum of all types' min_workers.",
    ),
    (
        *("aws", "worker_start_ray_commands/1", "ray start --address=h:1 --object-store-mem=1"),
        "worker_start_ray_commands[1]: `ray start --address=h:1 --object-store-mem=1`: No such "
        "option '--object-store-mem'. Did you mean '--object-store-memory'?",
    ),
    (
        *("aws", "head_start_ray_commands/1", "ray start --head --num-cpus=zero"),
        "Invalid value for '--num-cpus': 'zero' is not a valid integer.",
    ),
    ("aws", "file_mounts/x", "./nothere", "file_mounts.x: there is no ./nothere"),
    (
        *("gcp", f"{TYPES}/gpu_spot/node_config/scheduling", [{"preemptible": True}]),
        f"{SPOT}.scheduling must be a mapping, not [{{'preemptible': True}}].",
    ),
    ("gcp", f"{TYPES}/gpu_spot/node_config/machinType", "x", "Did you mean 'machineType'?"),
    (
        *("gcp", f"{TYPES}/gpu_spot/node_config/scheduling/provisioningModel", "SPOTT"),
        "scheduling.provisioningModel: the value 'SPOTT' does not exist. Did you mean 'SPOT'?",
    ),
    ("local", "provider/worker_ip", [], "the field 'worker_ip' does not exist. Did you mean 'work"),
    ("local", TYPES, {"a": {}}, f"the field '{TYPES}' does not exist."),
    (
        "aws",
        f"{TYPES}/gpu/labels",
        {"a": 1},
        f"{TYPES}.gpu.labels.a must be a text (quote it)",
    ),
    ("aws", f"{TYPES}/gpu/resources/GPU", "one", "resources.GPU must be a whole number, not 'one'"),
    (
        "aws",
        f"{TYPES}/gpu/resources",
        {"gpu": 1},
        "the field 'gpu' does not exist. Did you mean",
    ),
]


def whole_file(name: str, tmp_path: Path) -> dict[str, Any]:
    """A file without any mistake; each value is one of its own, though anchors share them."""
    path = ROOT / PATHS[name] if name in PATHS else tmp_path / "gcp.yaml"
    if name == "gcp":
        path.write_text(GCP)
    return unshared(read_yaml(path))


def unshared(value: Any) -> Any:
    """A copy in which nothing stands twice."""
    if isinstance(value, dict):
        return {key: unshared(inner) for key, inner in value.items()}
    return [unshared(inner) for inner in value] if isinstance(value, list) else copy.copy(value)


@pytest.mark.parametrize(
    ("name", "place", "value", "said"), PLANTED, ids=[f"{row[0]} {row[1]}" for row in PLANTED]
)
def test_each_planted_typo_is_found_and_nothing_else(
    name: str, place: str, value: Any, said: str, tmp_path: Path
):
    """Of these 23, Ray 2.60's own check finds eight; the others are a cluster that never comes."""
    config = whole_file(name, tmp_path)
    assert launcher.problems(config) == []
    for each in place.split():
        plant(config, each, value)
    found = launcher.problems(config)
    assert len(found) == 1, found
    assert said in found[0]
