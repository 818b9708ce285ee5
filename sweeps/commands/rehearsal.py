"""What `osr run` does with a home, a machine and MLflow, done once on a small scale.

Each function returns what it found, and leaves nothing behind.

Raises:
    OsrError: it does not work here; says what, why and what to do.
"""

import fcntl
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from osr_core.errors import ConfigError
from sweeps.home import Home
from sweeps.store.files import FileError, Files

SKEW_S = 60.0  # between this machine's clock and that of a home's
OTHER_HOME = (
    "Choose a --home on a disk of this machine, or on NFS or Lustre: exFAT, SMB and most folders "
    "of FUSE cannot do it. Results may also lie in a bucket (OSR_STORE)."
)


def files_work(files: Files) -> str:
    """Whether a store's files can be made once, replaced, moved, listed and deleted."""
    first, second = f"probe-{uuid.uuid4().hex}", f"probe-{uuid.uuid4().hex}"
    note, again = f"{first}/note", f"{second}/note"
    steps: dict[str, Callable[[], object]] = {
        "write a file": lambda: files.write(note, b"1"),
        "replace a file": lambda: files.write(note, b"2"),
        "read a file": lambda: files.read(note),
        "make a file that is whole (by a link)": lambda: files.create(f"{first}/once", b"1"),
        "keep a file that is there": lambda: files.create(f"{first}/once", b"2"),
        "give a folder another name": lambda: files.move(first, second),
        "list a folder": lambda: sorted(file.name for file in files.below(second)),
        "delete a file": lambda: files.delete(again),
        "forget a file that is deleted": lambda: files.there(again),
    }
    expected = (None, None, b"2", True, False, None, [again, f"{second}/once"], None, False)
    try:
        for (what, step), wanted in zip(steps.items(), expected, strict=True):
            try:
                found = step()
                why = None if found == wanted else f"it gives {found!r}"
            except FileError as error:
                why = files.reason(error.__cause__)
            if why is not None:
                raise ConfigError(f"{files.root} cannot {what}: {why}. {OTHER_HOME}")
    finally:
        _forget(files, first, second)
    return "files can be made, linked, moved and deleted"


def _forget(files: Files, *names: str) -> None:
    for name in names:
        try:
            files.delete_all(name)
        except FileError:
            continue


def folder_works(folder: Path) -> str:
    """Whether a home's folder knows locks, databases and the time."""
    try:
        with tempfile.TemporaryDirectory(prefix=".osr-doctor-", dir=folder) as name:
            place = Path(name)
            _attempt(folder, "lock a file", lambda: _lock(place / "lock"))
            _attempt(folder, "hold a database", lambda: _write_database(place / "probe.db"))
            (place / "clock").write_text("")
            skew = (place / "clock").stat().st_mtime - time.time()
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"{folder} cannot be written: {why}. Choose another --home.") from error
    if abs(skew) > SKEW_S:
        raise ConfigError(
            f"the clock of {folder} is {skew:+.0f} s from this machine's. Set one of them: times "
            "of runs and epochs come from both."
        )
    return "locks, databases and its clock work"


def cache_works(folder: Path) -> None:
    """Whether decoded images can be kept in a folder, by one process at a time."""
    try:
        with tempfile.TemporaryDirectory(prefix=".osr-doctor-", dir=folder) as name:
            _lock(Path(name) / "lock")
    except OSError as error:
        raise ConfigError(
            f"decoded images cannot be kept in {folder}: {error.strerror or error}. Point "
            "OSR_CACHE at a folder of this machine in which you may write."
        ) from error


def _attempt(folder: Path, what: str, step: Callable[[], None]) -> None:
    try:
        step()
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{folder} cannot {what}: {why}. {OTHER_HOME}") from error


def _lock(path: Path) -> None:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE probe (number INTEGER)")
        database.execute("INSERT INTO probe VALUES (1)")
        database.commit()


def mlflow_works(home: Home) -> str:
    """Whether MLflow's server or database is there, of this version, and ours to write."""
    if home.tracking is None and not home.database.exists():
        return f"{home.tracking_uri} (`osr run` makes it)"
    from sweeps.tracking.database import check_opens
    from sweeps.tracking.database_file import check_writable

    check_opens(home)
    if home.tracking is None:
        check_writable(home.database)
    return home.tracking_uri


def ray_starts() -> str:
    """Whether a cluster can be started on this machine."""
    from sweeps.launch.reaper import Reaper
    from sweeps.running import cluster

    with Reaper():
        try:
            cluster.connect()
            return f"starts, with {cluster.machines()}"
        finally:
            cluster.disconnect()
