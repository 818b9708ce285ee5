"""Machines of a cluster that cannot get a data set."""

from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.faults.harness import ROOT, Sweep

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own of the clusters that it pretends
]
SPEC = """\
name: faults
datasets: [digits]
splits: [0, 1]
backbone: {width: 0.125}
training: {epochs: 1, batch_size: 32, warmup_epochs: 0}
methods: {softmax: {}}
"""
# In workers: the machines that a file names have no data. All of them share this one's disk.
WITHOUT = """
import sys

if any("default_worker.py" in each for each in sys.orig_argv):
    import ray
    from pathlib import Path
    from sweeps.running import worker
    from sweeps.running.data_here import LacksDataError

    root_with = worker.root_with

    def root(needs, data_root, store):
        node = ray.get_runtime_context().get_node_id()
        if node in Path({lacking!r}).read_text():
            raise LacksDataError(f"{{node}} has no digits")
        return root_with(needs, data_root, store)

    worker.root_with = root
"""


@pytest.mark.brief
def test_stages_leave_a_machine_without_their_data_and_end_where_none_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One sentence and the code of a wrong request; once a machine has them, the sweep goes on."""
    sweep, lacking = Sweep(tmp_path / "home", SPEC), tmp_path / "lacking"
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(lacking=str(lacking)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        first, second = (cluster.add_node(num_cpus=1).node_id for _ in range(2))
        lacking.write_text(f"{first} {second}")
        none = sweep.finish("--address", cluster.address)
        assert none.returncode == 2, none.stdout + none.stderr
        assert "error: no machine can get the data of a stage, and nothing is lost: " in none.stderr
        assert "Traceback" not in none.stdout + none.stderr
        assert not list((sweep.home / "store" / "failures").glob("*"))
        lacking.write_text(first)
        done = sweep.finish("--address", cluster.address)
    finally:
        cluster.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 trials done; this launch started 4 of 4 stages" in done.stdout
    assert set(sweep.retries) == {"a machine without the data"}
