"""MLflow's database in a file of the home, looked at without MLflow, whose import takes seconds."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sweeps.home import Home
from sweeps.tracking.errors import TrackingError
from sweeps.tracking.tags import ARRIVED, HELD, STORE, experiment_names

EXPERIMENT = """
SELECT experiments.experiment_id, held.value FROM experiments
JOIN experiment_tags AS held ON held.experiment_id = experiments.experiment_id
JOIN experiment_tags AS owner ON owner.experiment_id = experiments.experiment_id
WHERE lifecycle_stage = 'active' AND name IN (?, ?)
AND held.key = ? AND owner.key = ? AND owner.value = ?
"""
SWEEP_RUNS = """
SELECT runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
WHERE experiment_id = ? AND lifecycle_stage = 'active'
AND tags.key = 'kind' AND tags.value = 'sweep'
"""
WHOLE_RUNS = """
SELECT stage.value, kind.value, artifact_uri FROM runs
JOIN tags AS stage ON stage.run_uuid = runs.run_uuid AND stage.key = 'stage_id'
JOIN tags AS kind ON kind.run_uuid = runs.run_uuid AND kind.key = 'kind'
JOIN latest_metrics AS arrived ON arrived.run_uuid = runs.run_uuid AND arrived.key = ?
WHERE experiment_id = ? AND lifecycle_stage = 'active' AND status = 'FINISHED'
"""
ADDRESSES = {"experiments": "artifact_location", "runs": "artifact_uri"}
FOLDER = "/mlflow/artifacts"  # how the address of a home's artifacts ends

Leaves = Mapping[str, Collection[str]]  # by the name of a kind of stage, the tables that it leaves


def held_in_file(home: Home, sweep: str, store_id: str) -> str | None:
    """What the tag HELD of a store's sweep says; None where there is none."""
    found = _experiment(home, sweep, store_id)
    return None if found is None else str(found[1])


def shown_in_file(home: Home, sweep: str, store_id: str, leaves: Leaves) -> set[str]:
    """Ids of stages whose runs are whole; none where the sweep's own run is not there."""
    found = _experiment(home, sweep, store_id)
    if found is None:
        return set()
    try:
        with _opened(home.database) as database:
            if not database.execute(SWEEP_RUNS, found[:1]).fetchone():
                return set()
            runs = database.execute(WHOLE_RUNS, (ARRIVED, found[0])).fetchall()
    except sqlite3.Error:
        return set()
    return {stage_id for stage_id, kind, uri in runs if has_files(uri, leaves.get(kind, ()))}


def check_readable(path: Path) -> None:
    """TrackingError where a file is no database that can be read.

    MLflow asks such a file for minutes without a word.
    """
    try:
        with _opened(path) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(
            f"MLflow's database {path} cannot be read: {error}. Get permission to read it; if it "
            "is damaged, delete it: `osr sync SWEEP` makes it anew from the store."
        ) from error


def check_writable(path: Path) -> None:
    """TrackingError where a file's database cannot be changed; nothing is changed."""
    try:
        with _opened(path) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE osr_doctor (number INTEGER)")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise TrackingError(
            f"MLflow's database {path} cannot be written: {error}. Get permission to write it and "
            "its folder, or choose another --home."
        ) from error


def _experiment(home: Home, sweep: str, store_id: str) -> tuple[int, str] | None:
    """Number and tag HELD of the experiment of a store's sweep."""
    if not home.database.exists():
        return None
    asked = (*experiment_names(sweep, store_id), HELD, STORE, store_id)
    try:
        with _opened(home.database) as database:
            found: tuple[int, str] | None = database.execute(EXPERIMENT, asked).fetchone()
    except sqlite3.Error:
        return None
    return found


def has_files(artifact_uri: str, leaves: Collection[str]) -> bool:
    """Whether a run whose stage leaves tables has one at least, as far as this machine can see."""
    address = urlsplit(artifact_uri)
    if not leaves or address.scheme != "file":
        return True
    folder = Path(url2pathname(address.path))
    return any((folder / name).is_file() for name in leaves)


def take_along(home: Home) -> None:
    """Let a home's own database name the files that came with it, where the home was moved.

    MLflow keeps absolute addresses, and those of a copy lead into the original.

    Raises:
        TrackingError: the database cannot be read, or written where it must be.
    """
    here = home.artifact_uri
    if here is None or not home.database.exists():
        return
    check_readable(home.database)
    try:
        with _opened(home.database) as database:
            rows = database.execute("SELECT artifact_location FROM experiments").fetchall()
    except sqlite3.Error:
        return  # it is empty, and MLflow fills it
    folders = {str(location).rpartition("/")[0] for (location,) in rows}
    try:
        for there in sorted(folders - {here}):
            if there.endswith(FOLDER):
                with _opened(home.database) as database:
                    _replace(database, there, here)
    except sqlite3.Error as error:
        raise TrackingError(
            f"the home {home.root} was moved or copied, and {home.database} cannot be told so: "
            f"{error}. Get permission to write there, or copy the home to a folder of yours."
        ) from error


def _replace(database: sqlite3.Connection, there: str, here: str) -> None:
    """In all addresses that begin with `there`, put `here` in its place."""
    for table, column in ADDRESSES.items():
        change = f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
        asked = (here, len(there) + 1, len(there) + 1, f"{there}/")
        database.execute(f"{change} WHERE substr({column}, 1, ?) = ?", asked)
    database.commit()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A file that is there, for writing where the user may: the first to open it after a kill
    undoes what was written by half, and whoever may only read is refused until then.
    """
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
        yield database
