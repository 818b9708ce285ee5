"""Addresses that are none are said at once, and those that nobody answers at within seconds."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from osr_core.errors import ConfigError
from sweeps.addresses import why_uri_silent
from sweeps.commands.app import app
from sweeps.home import Home
from sweeps.planning.record import plan_record
from sweeps.store.address import Address
from sweeps.tracking.errors import TrackingError
from sweeps.tracking.synchronise import synchronise
from tests.faults.harness import free_port
from tests.sweeps.tracking.test_arrival import finished

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:5000",
        "mlflow",
        "http://",
        "http://:5000",
        "http://host:99999",
        "http://two words",
        "http://[::1",
        "http://host]:5000",
        "htp://host",
        "postgresql:host/mlflow",
        "sqlite:mlflow.db",
        "sqlite:///",
        "/srv/mlflow",
        "abfs://results@account/osr",
    ],
)
def test_a_tracking_uri_of_no_known_form_is_refused(uri: str):
    """Before anything is planned, trained or asked."""
    with pytest.raises(ConfigError, match=r"OSR_TRACKING_URI must be an MLflow server"):
        Home(Path("home"), uri)


def test_an_address_without_a_scheme_is_completed():
    """The commonest slip."""
    with pytest.raises(ConfigError, match=r"Did you mean 'http://localhost:5000'\?"):
        Home(Path("home"), "localhost:5000")


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow:5000",
        "https://mlflow.example.org/team/a",
        "http://[::1]:5000",
        "postgresql+psycopg://osr@db/mlflow",
        "postgresql://one:5432,two:5432/mlflow",
        "postgresql:///mlflow?host=/var/run/postgresql",
        "mysql+pymysql://osr@db/mlflow",
        "sqlite:////srv/mlflow.db",
    ],
)
def test_what_mlflow_takes_is_taken(uri: str):
    """Servers and databases, also several hosts and a socket of this machine."""
    assert Home(Path("home"), uri).tracking_uri == uri


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_does_not_listen_is_named(scheme: str):
    """MLflow asks a database for two minutes."""
    port = free_port()
    why = why_uri_silent(f"{scheme}://127.0.0.1:{port}/x")
    assert why == f"nobody answers at 127.0.0.1:{port} (Connection refused)"


def test_whether_a_server_behind_a_proxy_answers_is_not_known(monkeypatch: pytest.MonkeyPatch):
    """The proxy reaches what this machine does not."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert why_uri_silent(f"http://mlflow.example.org:{free_port()}") is None


def test_sync_says_where_nobody_answers(tmp_path: Path):
    """And that nothing is lost."""
    home = Home(tmp_path, f"postgresql+psycopg://osr@127.0.0.1:{free_port()}/mlflow")
    plan, store = finished(home)
    with pytest.raises(TrackingError, match=r"nobody answers at .*Results are safe"):
        synchronise(plan, store, home, "abc")


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a listener that ends each conversation at once, as a wrong service does."""
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], "
        "flush=True)\nwhile True: s.accept()[0].close()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


def test_a_database_that_lets_nobody_in_is_named(tmp_path: Path, mute: int):
    """In one sentence instead of SQLAlchemy's traceback."""
    home = Home(tmp_path, f"postgresql+psycopg://osr@127.0.0.1:{mute}/mlflow")
    plan, store = finished(home)
    store.save_sweep("late", plan_record(plan, "abc"))
    with pytest.raises(TrackingError, match=r"cannot be opened: .*server closed the connection"):
        synchronise(plan, store, home, "abc")


def test_a_database_whose_driver_is_not_installed_is_named(tmp_path: Path):
    """`mysql+pymysql` needs a package that does not come with this one."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        home = Home(tmp_path, f"mysql+pymysql://osr@127.0.0.1:{port}/mlflow")
        plan, store = finished(home)
        with pytest.raises(TrackingError, match="No module named 'pymysql'"):
            synchronise(plan, store, home, "abc")


@pytest.mark.parametrize("uri", ["abfs://results@account/osr", "hdfs://host/osr", "results/osr"])
def test_a_store_of_an_unknown_kind_is_refused_by_every_command(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Some libraries end the process at such a URI."""
    monkeypatch.setenv("OSR_STORE", uri)
    for command in (["status"], ["export", "x"], ["run", "digits"], ["doctor"], ["gc"]):
        refused = CliRunner().invoke(app, [*command, "--home", str(tmp_path)])
        assert "must be a bucket's URI" in str(refused.exception)


def test_a_bucket_whose_server_does_not_listen_is_said_within_seconds():
    """Each request would be tried for a minute."""
    port = free_port()
    address = Address.parse(f"s3://results/osr?endpoint=http://127.0.0.1:{port}")
    with pytest.raises(ConfigError, match=rf"nobody answers at 127.0.0.1:{port}"):
        address.check_answers()
    Address.parse("s3://results/osr?region=eu-central-1").check_answers()


def test_addresses_of_pages_and_databases_are_checked_too(tmp_path: Path):
    """A link that leads nowhere, and a server that ends without a word; a password is not said."""
    report = CliRunner().invoke(app, ["report", "--mlflow-url", "localhost:5000"])
    assert "Did you mean 'http://localhost:5000'?" in str(report.exception)
    for database in (
        "http://osr:pass@db/mlflow",
        f"postgresql://osr:pass@127.0.0.1:{free_port()}/x",
    ):
        ui = CliRunner().invoke(app, ["ui", "--server", database, "--home", str(tmp_path)])
        assert isinstance(ui.exception, ConfigError)
        assert "pass@" not in str(ui.exception)


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_host_is_no_address(tmp_path: Path, host: str):
    """A socket takes it for all addresses: a variable that is not set opened the pages to all."""
    ui = CliRunner().invoke(app, ["ui", "--host", host, "--home", str(tmp_path)])
    assert ui.exit_code == 2
    assert "it is empty, which is every address" in " ".join(ui.output.split())
