"""A driver may be killed while MLflow writes into its file; the next one goes on all the same."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from sweeps.home import Home
from sweeps.planning.record import plan_record
from sweeps.tracking.completeness import is_held
from sweeps.tracking.synchronise import synchronise
from tests.sweeps.tracking.test_arrival import finished

# MLflow's own use of SQLAlchemy warns that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# More than SQLite's memory for it: it changes the file, of which its journal keeps what was there.
WRITER = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA cache_size = 1")
database.execute("UPDATE tags SET value = value || hex(zeroblob(50000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_writing(database: Path) -> None:
    """What was written by half can be undone from the journal that is left."""
    done = subprocess.run([sys.executable, "-c", WRITER, str(database)], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True).execute("SELECT * FROM tags")


def test_what_was_written_by_half_is_undone(home: Home):
    """It is neither shown nor in the way."""
    plan, store = finished(home)
    record = plan_record(plan, "abc")
    store.save_sweep("late", record)
    synchronise(plan, store, home, "abc")
    killed_while_writing(home.database)
    assert is_held(home, store, record, ()), "it was all there before"
    killed_while_writing(home.database)
    synchronise(plan, store, home, "abc")
    client = mlflow.MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("late")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not [run for run in runs if run.data.tags["kind"].endswith("0")]
