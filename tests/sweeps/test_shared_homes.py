"""A home that several users see: each file says in a sentence who may do what with it."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from matplotlib import style
from torch import _dynamo

from analysis.report import page  # now: Python's own files may be closed to all but root
from osr_core.errors import OsrError
from sweeps.commands import rehearsal
from sweeps.home import Home
from sweeps.planning.record import plan_record
from sweeps.tracking.database import make_database
from sweeps.tracking.synchronise import synchronise
from tests.sweeps.command import call_osr
from tests.sweeps.tracking.test_arrival import finished

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


LOADED = (page, style, _dynamo)  # the last by counting a network's operations


@pytest.fixture(scope="module")
def empty(with_database: Callable[[Path], Path]) -> Iterator[Path]:
    """A home with no more than MLflow's tables; all may read it, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="osr-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield with_database(Path(folder) / "home")


@pytest.fixture
def readable(empty: Path) -> Iterator[Path]:
    """A colleague's home, with a finished sweep; they may be root, and we may only read."""
    folder = Path(tempfile.mkdtemp(prefix="osr-", dir="/tmp"))
    try:
        home = Home(shutil.copytree(empty, folder / "home"))
        plan, store = finished(home)
        store.save_sweep("late", plan_record(plan, "abc"))
        synchronise(plan, store, home, "abc")
        assert call_osr("export", "late", home=home.root).returncode == 0
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield home.root
    finally:
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["export", "late"], "exports"),
        (["report"], "report.html"),
        (["figure", "roc", "--sweep", "late"], "figures"),
        (["sync", "late"], "leases"),
        (["pause", "late"], "orders"),
        (["gc", "--yes"], ""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("unprivileged")
def test_who_may_only_read_hears_so_in_one_sentence(readable: Path, command: list[str], file: str):
    """With the file and what to do; never by a traceback."""
    done = call_osr(*command, home=readable)
    if not file:
        assert done.returncode == 0  # there is nothing to delete
        return
    assert done.returncode in (2, 3)
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert file in line
    assert "Permission denied. " in line  # not with a path, which may be a temporary one


@pytest.mark.usefixtures("unprivileged")
def test_who_may_only_read_can_read(readable: Path):
    """Tables and lists from the home, pages to a folder of one's own."""
    for command in (["table", "late"], ["status"], ["plan", "digits"]):
        done = call_osr(*command, home=readable)
        assert done.returncode == 0, done.stderr
    made = Path(tempfile.mkdtemp(dir="/tmp")) / "page.html"
    try:
        done = call_osr("report", "--output", made, home=readable)
        assert (done.returncode, made.is_file()) == (0, True), done.stderr
    finally:
        shutil.rmtree(made.parent)


@pytest.mark.usefixtures("unprivileged")
def test_doctor_says_what_a_reader_may_not_write(readable: Path):
    """In sentences: the store, the home and MLflow's database, each on its own."""
    home = Home(readable)
    with pytest.raises(OsrError, match=r"home cannot be written: Permission denied\. Choose"):
        rehearsal.folder_works(home.root)
    with pytest.raises(OsrError, match=r"mlflow\.db cannot be written: .*readonly"):
        rehearsal.mlflow_works(home)


def test_who_shares_a_home_sends_runs_again(request: pytest.FixtureRequest, readable: Path):
    """MLflow copies a file's mode too, which only its owner may set: sync failed."""
    for path in readable.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    readable.chmod(0o777)
    artifacts = sorted(path for path in readable.rglob("mlflow/artifacts/**/*") if path.is_file())
    assert artifacts
    request.getfixturevalue("unprivileged")
    done = call_osr("sync", "late", home=readable)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(path.is_file() for path in artifacts)


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["export", "late"],
        ["table", "late"],
        ["figure", "roc", "--sweep", "late"],
        ["report"],
        ["ui"],
        ["sync", "late"],
        ["plan", "digits"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("unprivileged")
def test_a_home_that_is_closed_is_said_to_be(command: list[str]):
    """By each command that wants something of it."""
    folder = Path(tempfile.mkdtemp(prefix="osr-", dir="/tmp"))
    folder.chmod(0)
    try:
        done = call_osr(*command, home=folder / "home")
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    (line,) = done.stderr.strip().splitlines()
    assert (done.returncode, line[:7]) == (3, "error: ")
    assert "Permission denied" in line


def test_the_database_is_as_writable_as_other_files(tmp_path: Path):
    """In a home that a group shares, each of them runs sweeps."""
    before = os.umask(0o002)
    try:
        make_database(f"sqlite:///{tmp_path}/mlflow.db")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mlflow.db").stat().st_mode) == 0o664
