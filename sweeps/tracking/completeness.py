"""Which plan of a sweep MLflow holds in full: what a launch asks when all of its stages are done.

MLflow itself keeps the answer, in a tag of the experiment, so that a database which was lost,
restored or exchanged answers for itself. One in a file of this home is asked without MLflow, whose
import takes seconds.
"""

import contextlib
import sqlite3
from pathlib import Path

from sweeps.home import Home
from sweeps.tracking.tags import HELD

QUERY = """
SELECT value FROM experiment_tags JOIN experiments USING (experiment_id)
WHERE name = ? AND lifecycle_stage = 'active' AND key = ?
"""


def plan_held(home: Home, sweep: str) -> str | None:
    """What the tag says; None where there is none, or nobody to ask."""
    if home.tracking is None:
        return _from_file(home.database, sweep)
    from sweeps.tracking.database import experiment_of

    try:
        experiment = experiment_of(home.tracking, sweep)
    except Exception:  # whatever a server does; the launch will say that it does
        return None
    if experiment is None or experiment.lifecycle_stage != "active":
        return None
    tag: str | None = experiment.tags.get(HELD)
    return tag


def _from_file(path: Path, sweep: str) -> str | None:
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute(QUERY, (sweep, HELD)).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])
