"""`osr doctor` does what a run does, so that it fails before a run does."""

import errno
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from osr_core.errors import ConfigError, OsrError
from sweeps.commands import rehearsal
from sweeps.commands.app import app
from sweeps.home import Home
from sweeps.store.folder import LocalFiles
from sweeps.tracking.database import make_ready
from sweeps.tracking.errors import TrackingError
from tests.sweeps.command import run_osr

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def refuses(error: int) -> Callable[..., Any]:
    """What a file system answers that does not know how."""

    def call(*given: Any, **more: Any) -> Any:
        raise OSError(error, os.strerror(error))

    return call


@pytest.mark.parametrize(
    ("module", "name", "number", "words"),
    [
        (
            os,
            "link",
            errno.EPERM,
            r"cannot make a file that is whole \(by a link\): .*not permitted",
        ),
        (Path, "rename", errno.EXDEV, "cannot give a folder another name: .*cross-device"),
        (Path, "replace", errno.EACCES, "cannot write a file: .*Permission denied"),
        (Path, "unlink", errno.EPERM, "cannot .*: .*not permitted"),
    ],
    ids=["exFAT", "rename", "replace", "delete"],
)
def test_a_file_system_that_lacks_something_is_a_fault(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    number: int,
    words: str,
):
    """ExFAT has no links; SMB and folders of FUSE lack others."""
    monkeypatch.setattr(module, name, refuses(number))
    with pytest.raises(ConfigError, match=f"{words}.*exFAT, SMB"):
        rehearsal.files_work(LocalFiles(tmp_path))


def test_a_link_that_replaces_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Markers and leases are made once; some network folders overwrite."""
    monkeypatch.setattr(os, "link", lambda source, target: Path(target).write_bytes(b"2"))
    with pytest.raises(ConfigError, match="cannot keep a file that is there: it gives True"):
        rehearsal.files_work(LocalFiles(tmp_path))


def test_locks_databases_and_clocks_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exports and the decode cache lock, MLflow has a database, MLflow shows times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", refuses(errno.ENOLCK))
        with pytest.raises(ConfigError, match="cannot lock a file: No locks available"):
            rehearsal.folder_works(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuses(errno.EIO))
        with pytest.raises(ConfigError, match="cannot hold a database: Input/output error"):
            rehearsal.folder_works(tmp_path)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    with pytest.raises(ConfigError, match=r"the clock of .* is \+3600 s"):
        rehearsal.folder_works(tmp_path)


def test_nothing_is_left_behind(tmp_path: Path):
    """Where all works, and where it does not."""
    assert rehearsal.files_work(LocalFiles(tmp_path)).startswith("files can be made")
    assert rehearsal.folder_works(tmp_path).startswith("locks")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


REVISION = "UPDATE alembic_version SET version_num = '0123456789ab'"
OTHERS = {  # what another version of MLflow, or a migration that was cut, leaves
    "newer": [REVISION],
    "older": ["UPDATE alembic_version SET version_num = '181f10493468'"],
    "without a table": [REVISION, "DROP TABLE tags"],
    "without a revision": ["DELETE FROM alembic_version"],
    "with two revisions": ["INSERT INTO alembic_version VALUES ('0123456789ab')"],
}


@pytest.fixture
def old(with_database: Callable[[Path], Path], tmp_path: Path, changes: list[str]) -> Home:
    """A home whose database is of another version of MLflow."""
    home = Home(with_database(tmp_path / "home"))
    with sqlite3.connect(home.database) as database:
        for change in changes:
            database.execute(change)
    database.close()
    return home


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_a_database_of_any_other_mlflow_is_told_as_one(old: Home):
    """Some of them end in an error of alembic's, which is none of MLflow's."""
    with pytest.raises(TrackingError, match=r"another version of MLflow.*Delete it: `osr sync"):
        make_ready(old)
    team = Home(old.root, f"sqlite:///{old.database}")
    with pytest.raises(TrackingError, match=r"sqlite:.* another version of MLflow.*ask whoever"):
        make_ready(team)


@pytest.mark.parametrize("changes", [["ALTER TABLE experiments DROP COLUMN last_update_time"]])
def test_a_damaged_database_is_no_page_of_errors(old: Home):
    """`osr ui` opened it, and each of MLflow's pages failed."""
    done = CliRunner().invoke(app, ["ui", "--home", str(old.root)])
    assert isinstance(done.exception, TrackingError)
    assert f"If it is damaged, delete {old.database}: `osr sync" in str(done.exception)


@pytest.mark.parametrize("changes", [[REVISION]], ids=["newer"])
@pytest.mark.parametrize("command", [["ui"], ["export", "x"], ["doctor", "--json"]])
def test_a_database_of_another_mlflow_is_named_with_the_simplest_way_out(
    old: Home, monkeypatch: pytest.MonkeyPatch, command: list[str]
):
    """MLflow's own advice is a migration; `osr ui` ended without a word."""
    monkeypatch.setattr(rehearsal, "ray_starts", lambda: "starts")
    done = CliRunner().invoke(app, [*command, "--home", str(old.root)])
    said = str(done.exception) if isinstance(done.exception, OsrError) else done.stdout
    assert f"{old.database} was made by another version of MLflow" in said
    assert "`osr sync SWEEP` makes it anew" in said
    assert "mlflow db upgrade" not in said


def test_the_doctor_starts_ray_and_leaves_the_folder_as_it_was(tmp_path: Path):
    """All of it, in a process of its own."""
    done = run_osr("doctor", "--json", home=tmp_path)
    found = {row["check"]: row for row in json.loads(done.stdout)}
    assert found["ray start"]["detail"].startswith("starts, with ")
    assert {row["state"] for row in found.values()} <= {"ok", "note"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["text", "folder"])
@pytest.mark.parametrize("command", [["ui"], ["export", "x"], ["doctor", "--json"]])
def test_a_database_that_is_none_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, command: list[str]
):
    """MLflow asks for minutes where none can be opened, and `osr ui` showed SQLAlchemy's words."""
    monkeypatch.setattr(rehearsal, "ray_starts", lambda: "starts")
    home = Home(tmp_path)
    home.database.parent.mkdir()
    home.database.write_text("x" * 200) if kind == "text" else home.database.mkdir()
    done = CliRunner().invoke(app, [*command, "--home", str(home.root)])
    said = str(done.exception) if isinstance(done.exception, OsrError) else done.stdout
    assert f"MLflow's database {home.database} cannot be read: " in said
    assert "delete it: `osr sync SWEEP` makes it anew" in said
