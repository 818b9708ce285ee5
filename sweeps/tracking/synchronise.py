"""Bringing MLflow up to date without a launch: `osr sync`."""

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from sweeps.home import Home
from sweeps.planning.plan import Plan
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from sweeps.tracking.completeness import is_complete
from sweeps.tracking.errors import TrackingError, reason_of
from sweeps.tracking.painter import Pictures
from sweeps.tracking.tracker import make_tracker


def synchronise(
    plan: Plan,
    store: Store,
    home: Home,
    code: str,
    pictures: Pictures | None = None,
    fence: Fence | None = None,
) -> int:
    """Write all that MLflow lacks of a sweep; the number of stages that it then holds.

    Raises:
        TrackingError: MLflow cannot be reached or does not take it.
    """
    try:
        tracker = make_tracker(plan, store, home, code, pictures, fence)
        tracker.write_all()
        tracker.close("FINISHED" if is_complete(plan, store) else "FAILED")
        if tracker.refused:
            raise MlflowException("; ".join(tracker.refused.values()))
    except SQLAlchemyError as error:  # MlflowClient lets some of them through
        raise TrackingError(
            f"MLflow's database at {home.tracking_uri} cannot be used: {reason_of(error)}. If it "
            "is damaged, delete it and try again; it is made anew from the store."
        ) from error
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow at {home.tracking_uri} does not take the runs: {reason_of(error)}. Results "
            "are safe on the store; try again when it is back."
        ) from error
    return len(tracker.found.finished & plan.stages.keys())
