"""Which plan of a sweep MLflow holds in full: what a launch asks when all of its stages are done.

MLflow itself keeps the answer, in a tag of the experiment, so that a database which was lost,
restored or exchanged answers for itself. The tag counts only while the runs are there of which it
speaks: users delete runs in MLflow's pages. A database in a file of this home is asked without
MLflow, whose import takes seconds.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from osr_core.identity import digest
from sweeps.home import Home
from sweeps.planning.plan import Plan
from sweeps.store.store import Store
from sweeps.tracking.database_file import Leaves, held_in_file, shown_in_file
from sweeps.tracking.tags import HELD, candidate_id


def is_complete(plan: Plan, store: Store) -> bool:
    """Whether every trial that evaluates has its result, every search has chosen, and nothing that
    was damaged is still to be made.
    """
    return not plan.unchosen and store.is_complete(plan.owed, plan.stages)


def state_of(record: Mapping[str, Any], aside: Collection[str]) -> str:
    """What stands for a plan's record and for its results that were set aside and made anew."""
    return digest([record, *sorted(aside)]) if aside else digest(record)


def is_held(home: Home, store: Store, record: Mapping[str, Any], aside: Collection[str]) -> bool:
    """Whether MLflow holds a plan of this record, by its own word and with all its runs."""
    if plan_held(home, store, record["sweep"]) != state_of(record, aside):
        return False
    shown = _shown(home, store.id or "", record["sweep"], record["leaves"])
    return set(shown_ids(record)) <= shown


def shown_ids(record: Mapping[str, Any]) -> Iterator[str]:
    """By what the runs are found that show all of a record: stages, searches, candidates."""
    yield from (stage["stage_id"] for stage in record["stages"])
    for search in record["searches"]:
        yield search["search_id"]
        yield from (candidate_id(search["search_id"], c["number"]) for c in search["candidates"])


def plan_held(home: Home, store: Store, sweep: str) -> str | None:
    """What the tag of this store's sweep says; None where there is none, or nobody to ask."""
    store_id = store.id
    if store_id is None:
        return None
    if home.tracking is None:
        return held_in_file(home, sweep, store_id)
    from sweeps.tracking.database import check_answers
    from sweeps.tracking.experiment import experiment_of

    try:
        check_answers(home.tracking)
        experiment = experiment_of(home.tracking, sweep, store_id)
    except Exception:  # whatever a server does; the launch will say that it does
        return None
    if experiment is None or experiment.lifecycle_stage != "active":
        return None
    tag: str | None = experiment.tags.get(HELD)
    return tag


def _shown(home: Home, store_id: str, sweep: str, leaves: Leaves) -> set[str]:
    """Ids of stages whose runs are whole; none where the sweep's own run is not there."""
    if home.tracking is None:
        return shown_in_file(home, sweep, store_id, leaves)
    from sweeps.tracking.found_runs import shown_stages

    try:
        return shown_stages(home.tracking, sweep, store_id, leaves)
    except Exception:  # as above
        return set()
