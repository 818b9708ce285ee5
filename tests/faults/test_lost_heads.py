"""What a user reads when what ran the sweep is gone: Ray's head, or the driver itself."""

import json
import sqlite3
from contextlib import closing

import pytest

from sweeps.store.leases import Fence
from tests.faults.harness import WAIT_S, Sweep, alive, family, title, wait_until

pytestmark = pytest.mark.faults
SPEC = """\
name: faults
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 300, batch_size: 32, warmup_epochs: 1}
resources: {checkpoint_every_s: 0}
methods: {softmax: {}, cac: {}}
"""


@pytest.fixture
def running(sweep: Sweep) -> Sweep:
    """One that takes minutes, with some epochs behind it."""
    sweep.text = SPEC
    sweep.start()
    wait_until(lambda: sweep.under_way, "a fit's first epoch")
    return sweep


def statuses(sweep: Sweep) -> dict[str, str]:
    """MLflow's, by what a run shows."""
    asked = "SELECT value, status FROM runs NATURAL JOIN tags WHERE key = 'kind'"
    with closing(sqlite3.connect(sweep.home / "mlflow" / "mlflow.db")) as database:
        return dict(database.execute(asked))


@pytest.mark.brief
def test_the_heads_death_is_told_in_a_sentence_and_ends_with_3(running: Sweep):
    """Ray itself ends the driver after a minute, with 1 and a line of C++."""
    sweep = running
    (driver,) = sweep.drivers
    processes = family(driver.pid)
    (head,) = [process for process in processes if "gcs_server" in title(process)]
    head.kill()
    assert driver.wait(WAIT_S) == 3
    (told,) = [line for line in sweep.log.splitlines() if line.startswith("error: ")]
    assert told.startswith("error: the head of the Ray cluster has died: nobody answers at ")
    assert "rpc_client.h" not in sweep.log
    _, holder = sweep.store.leases.latest("faults")
    assert holder is not None
    assert holder["released"]
    assert alive(processes) == []


def test_a_sweep_whose_driver_died_is_not_shown_as_running(running: Sweep):
    """By the next look at it, here and in MLflow; the next launch is shown again."""
    sweep = running
    wait_until(lambda: "fit" in statuses(sweep), "MLflow to show the fit")
    (driver,) = sweep.drivers
    assert f"is being run by process {driver.pid}" in sweep.osr("status").stdout
    driver.kill()
    driver.wait()
    assert statuses(sweep) == {"sweep": "RUNNING", "fit": "RUNNING"}
    for _ in range(2):  # whoever asks later hears it, too
        told = json.loads(sweep.osr("status", "--json").stdout)["drivers"]
        (line,) = told
        assert line.startswith(
            f"sweep 'faults' is not being run: its driver has died (process {driver.pid} on "
        )
    assert statuses(sweep) == {"sweep": "FAILED", "fit": "KILLED"}
    again = sweep.start()
    wait_until(lambda: statuses(sweep)["sweep"] == "RUNNING", "the next launch in MLflow")
    sweep.osr("stop", "faults")
    assert again.wait(WAIT_S) == 130
    assert statuses(sweep)["sweep"] == "KILLED"
    assert sweep.store.orders.read(Fence("faults", 2)).stop
