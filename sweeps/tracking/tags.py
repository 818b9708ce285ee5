"""Tags and metrics that have a meaning of their own in MLflow, and what experiments are called."""

PARENT = "mlflow.parentRunId"  # MLflow's own: the run that a run stands below
NOTE = "mlflow.note.content"  # MLflow's own: the text of a run's or an experiment's page
VIEW = "mlflow.sharedViewState."  # MLflow's own: how the tags that keep prepared lists begin
ARRIVED = "arrived_at_s"  # when MLflow held all of a finished run; for `osr export --since`
STORE = "osr.store"  # of an experiment: the id of the store that it belongs to
HELD = "osr.plan"  # of an experiment; absent or empty while MLflow lacks something
MADE_ON = "made_on"  # of a trial's run: what its stages were computed on (made_on.py)
DIED = "osr.died"  # of the sweep's own run: how its driver was lost; empty once there is another
BY, REASON = "osr.by", "osr.reason"  # of the sweep's own run: who runs it, and what for
FACTS = "osr.trial"  # of a trial's run: stands for the facts that it shows


def experiment_names(sweep: str, store_id: str) -> tuple[str, str]:
    """What the experiment of a store's sweep may be called, in the order in which it is tried.

    The second is for a sweep whose name is another store's experiment already, as it may be on a
    team's server.
    """
    return sweep, f"{sweep} ({store_id[:8]})"


def candidate_id(search_id: str, number: int) -> str:
    """What stands for a candidate in the tag by which its run is found."""
    return f"{search_id}/{number:06}"
