"""What MLflow shows of a sweep whose driver died: nobody was left to say that it has ended."""

from mlflow import MlflowClient

from sweeps.home import Home
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from sweeps.tracking.database import make_ready
from sweeps.tracking.experiment import experiment_of
from sweeps.tracking.tags import DIED

MOST = 50_000  # runs, MLflow's own limit for one answer; no cluster runs so many stages at once


def tell_died(home: Home, store: Store, fence: Fence, why: str) -> None:
    """End the runs that a dead driver has left running; the sweep's own says `why`.

    Raises:
        TrackingError: MLflow does not answer. FencedError: another driver has the sweep now.
    """
    if home.tracking is None and not home.database.exists():
        return
    make_ready(home)
    experiment = experiment_of(home.tracking_uri, fence.sweep, store.id or "")
    if experiment is None:
        return
    client = MlflowClient(home.tracking_uri)
    asked = "attributes.status = 'RUNNING' and tags.kind != ''"  # a user's own run has no kind
    for run in client.search_runs([experiment.experiment_id], asked, max_results=MOST):
        store.leases.check(fence)
        is_sweeps_own = run.data.tags["kind"] == "sweep"
        if is_sweeps_own:
            client.set_tag(run.info.run_id, DIED, why)
        client.set_terminated(run.info.run_id, "FAILED" if is_sweeps_own else "KILLED")
