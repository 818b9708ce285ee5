"""The run without faults that all fault tests are compared with, and a database server."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import STARTED, WAIT_S, Sweep, free_port

NAME = "ohne Störung"  # a space and an umlaut in the path of its home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of this folder that hangs ends after half an hour, if it does not say otherwise."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def reference(made_once: Callable[..., Path], with_database: Callable[[Path], Path]) -> Sweep:
    """It has ended well."""

    def make(folder: Path) -> None:
        done = Sweep(with_database(folder / NAME)).finish()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "5 of 5 trials done" in done.stdout

    return Sweep(made_once("reference", make) / NAME)


@pytest.fixture(autouse=True)
def nothing_outlives_its_test() -> Iterator[None]:
    """Or another test would be told of it."""
    STARTED.clear()
    yield
    for sweep in STARTED:
        sweep.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What drivers have printed stands below a failure."""
    report = yield
    if report.when == "call" and report.failed:
        logs = {sweep.home.name: sweep.log for sweep in STARTED if sweep.log_file.exists()}
        report.sections += [(f"log of {name}", text) for name, text in logs.items()]
    return report


@pytest.fixture
def sweep(tmp_path: Path, with_database: Callable[[Path], Path]) -> Sweep:
    """A sweep to break."""
    return Sweep(with_database(tmp_path / "home"))


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL server in a temporary folder, by its URI."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs or shutil.which("runuser") is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder, port = tmp_path / "pg", free_port()
    folder.mkdir()
    for parent in [folder, *folder.parents]:
        if str(parent).startswith(str(Path("/tmp"))) and parent != Path("/tmp"):
            parent.chmod(0o755)
    shutil.chown(folder, "postgres", "postgres")
    binaries = programs[-1].parent

    def as_postgres(*command: str) -> None:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *command], check=True, capture_output=True, cwd="/"
        )

    as_postgres(str(binaries / "initdb"), "-D", f"{folder}/data", "-A", "trust", "-U", "osr")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    as_postgres(
        str(binaries / "pg_ctl"), "-D", f"{folder}/data", "-l", f"{folder}/log", "-w",
        "-o", options, "start",
    )  # fmt: skip
    yield f"postgresql+psycopg://osr@127.0.0.1:{port}/postgres"
    with suppress(FileNotFoundError, psutil.NoSuchProcess):  # `pg_ctl` fails where it is ending
        server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        server.send_signal(signal.SIGQUIT)  # what `pg_ctl stop --mode=immediate` sends
        server.wait(WAIT_S)
