"""Stages go to machines that have what the spec asks for, and wait for those that are not there."""

import json
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.faults.harness import ROOT, WAIT_S, Sweep, wait_until

SPEC = """\
name: faults
datasets: [digits]
splits: [0, 1]
backbone: {width: 0.125}
training: {epochs: 1, batch_size: 64, warmup_epochs: 0}
resources:
  gpu_type: L4
  kinds: {score: {gpus: 0, labels: {zone: "in(b,c)"}, custom: {licence: 1}}}
methods: {softmax: {}}
"""
# In workers: pretends GPUs that this machine has not, and notes where stages run.
NOTED = """
import sys

if any("default_worker.py" in each for each in sys.orig_argv):
    import json
    import ray
    import torch
    from sweeps.running import worker

    make = worker.make

    def noted(stage_id, identities, workplace, store):
        with open({notes!r}, "a") as notes:
            node = ray.get_runtime_context().get_node_id()
            print(json.dumps([identities[stage_id]["kind"], node]), file=notes)
        make(stage_id, identities, workplace, store)

    worker.make, worker.device_of = noted, lambda workplace: torch.device("cpu")
"""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]


@pytest.mark.brief
def test_a_type_of_gpu_labels_and_resources_of_ones_own_choose_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Fits wait for the L4 beside an H100, and scores for the licence in zone b."""
    notes = tmp_path / "notes.txt"
    (tmp_path / "sitecustomize.py").write_text(NOTED.format(notes=str(notes)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    sweep = Sweep(tmp_path / "home", SPEC)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": 0})
    try:
        h100 = {"accelerator_type:H100": 1, "licence": 1}
        cluster.add_node(num_cpus=2, num_gpus=1, resources=h100, labels={"zone": "a"})
        driver = sweep.start("--address", cluster.address)
        said = r"asks for 1 CPU and 1 GPU (type L4) on one machine, and no machine has that"
        wait_until(lambda: said in sweep.log, "the type to be missed")
        l4 = cluster.add_node(num_cpus=2, num_gpus=1, resources={"accelerator_type:L4": 1})
        zone = cluster.add_node(num_cpus=2, resources={"licence": 1}, labels={"zone": "b"})
        assert driver.wait(WAIT_S) == 0, sweep.log
    finally:
        cluster.shutdown()
    assert "2 CPUs, 1 GPUs of type H100, licence 1, label zone: a" in sweep.log
    places = {(kind, node) for kind, node in map(json.loads, notes.read_text().splitlines())}
    assert places == {("fit", l4.node_id), ("score", zone.node_id)}
