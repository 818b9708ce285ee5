"""Which plan of a sweep MLflow holds in full: what a launch asks when all of its stages are done.

MLflow itself keeps the answer, in a tag of the experiment, so that a database which was lost,
restored or exchanged answers for itself. One in a file of this home is asked without MLflow, whose
import takes seconds.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from osr_core.identity import digest
from sweeps.home import Home
from sweeps.store.store import Store
from sweeps.tracking.tags import HELD, STORE, experiment_names

QUERY = """
SELECT held.value FROM experiments
JOIN experiment_tags AS held ON held.experiment_id = experiments.experiment_id
JOIN experiment_tags AS owner ON owner.experiment_id = experiments.experiment_id
WHERE lifecycle_stage = 'active' AND name IN (?, ?)
AND held.key = ? AND owner.key = ? AND owner.value = ?
"""


def state_of(record: Mapping[str, Any], aside: Collection[str]) -> str:
    """What stands for a plan's record and for its results that were set aside and made anew."""
    return digest([record, *sorted(aside)]) if aside else digest(record)


def plan_held(home: Home, store: Store, sweep: str) -> str | None:
    """What the tag of this store's sweep says; None where there is none, or nobody to ask."""
    store_id = store.id
    if store_id is None:
        return None
    if home.tracking is None:
        return _from_file(home.database, sweep, store_id)
    from sweeps.tracking.experiment import experiment_of

    try:
        experiment = experiment_of(home.tracking, sweep, store_id)
    except Exception:  # whatever a server does; the launch will say that it does
        return None
    if experiment is None or experiment.lifecycle_stage != "active":
        return None
    tag: str | None = experiment.tags.get(HELD)
    return tag


def _from_file(path: Path, sweep: str, store_id: str) -> str | None:
    if not path.exists():
        return None
    asked = (*experiment_names(sweep, store_id), HELD, STORE, store_id)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute(QUERY, asked).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])
