"""MLflow may be away, broken, slow or forgetful: training goes on, and nothing is doubled."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import NUM_FITS, NUM_STAGES, WAIT_S, Sweep, wait_until
from tests.faults.invariants import check_invariants, check_mlflow
from tests.faults.proxy import Proxy
from tests.faults.server import MlflowServer

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]
) -> Iterator[MlflowServer]:
    """One server for the tests of this file, each with a proxy and an experiment of its own."""
    folder = with_database(tmp_path_factory.mktemp("server"))
    with MlflowServer(f"sqlite:///{folder}/mlflow/mlflow.db", folder) as running:
        yield running


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[Proxy]:
    """The way to the server."""
    running = Proxy(server.port)
    yield running
    running.close()


def clean(proxy: Proxy) -> None:
    """Delete the experiment of an earlier test for good enough: its name becomes free."""
    import mlflow

    client = mlflow.MlflowClient(proxy.uri)
    experiment = client.get_experiment_by_name("faults")
    if experiment is not None:
        client.rename_experiment(experiment.experiment_id, f"faults-{time.time_ns()}")


@pytest.mark.brief
def test_a_server_that_is_down_broken_slow_or_silent_holds_up_no_stage(
    sweep: Sweep, reference: Sweep, proxy: Proxy
):
    """All stages are committed while a request is without its answer; then all of it is there."""
    clean(proxy)
    sweep.environment = {"OSR_TRACKING_URI": proxy.uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "600"}
    proxy.script, proxy.mode = ["down", "error", "slow", "slow"], "hold"
    driver = sweep.start()
    wait_until(lambda: proxy.seen["hold"], "a request that gets no answer")
    assert len(sweep.commits) < NUM_STAGES, "the stages had ended before"
    wait_until(lambda: len(sweep.commits) == NUM_STAGES, "all stages, still without the answer")
    proxy.mode = "ok"
    assert driver.wait(WAIT_S) == 0, sweep.log
    assert proxy.seen.keys() == {"down", "error", "slow", "hold", "ok"}
    assert "osr sync" not in sweep.log
    check_invariants(sweep, reference)


def test_lost_answers_double_nothing(sweep: Sweep, reference: Sweep, proxy: Proxy):
    """The server has made each run and taken each history, and its answer is lost every time."""
    clean(proxy)
    sweep.environment = {"OSR_TRACKING_URI": proxy.uri}
    proxy.mode = "lose"
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "osr sync" not in done.stderr
    # the sweep's run, the stages', their histories; and what fits showed while they ran
    assert len(proxy.lost) >= 1 + NUM_STAGES + NUM_FITS
    check_invariants(sweep, reference)


def test_sync_fills_an_empty_server(sweep: Sweep, reference: Sweep, proxy: Proxy):
    """From the store alone, also when the server was away for the whole sweep; twice is once."""
    clean(proxy)
    sweep.environment = {"OSR_TRACKING_URI": proxy.uri}
    proxy.mode = "down"
    done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "osr sync faults" in done.stderr
    proxy.mode = "ok"
    for _ in range(2):
        assert sweep.osr("sync", "faults").returncode == 0
        check_mlflow(sweep, set(sweep.stages))
    assert sweep.osr("export", "faults").returncode == 0
    check_invariants(sweep, reference)


def test_a_team_server_on_postgresql_shows_the_same(
    sweep: Sweep, reference: Sweep, postgresql: str, tmp_path: Path
):
    """What docs/team-mlflow.md tells a team to set up."""
    pytest.importorskip("psycopg")
    with MlflowServer(postgresql, tmp_path) as server:
        sweep.environment = {"OSR_TRACKING_URI": server.uri}
        done = sweep.finish()
        assert done.returncode == 0, done.stdout + done.stderr
        check_invariants(sweep, reference)
