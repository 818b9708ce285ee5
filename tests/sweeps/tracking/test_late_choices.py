"""What MLflow shows of a trial once a search has chosen its settings, while the sweep runs."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from sweeps.home import Home
from sweeps.planning.plan import SEARCH, Plan
from sweeps.tracking.background import BackgroundTracking
from sweeps.tracking.tracker import Tracker, make_tracker
from tests.sweeps.tracking.test_arrival import finished

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CHOSEN = "oracle_auroc (ORACLE: AUROC on the test images), best of 2 candidates"


def with_first(plan: Plan, **said: Any) -> Plan:
    """The plan, where something else is said of its first trial."""
    first, *others = plan.trials
    return replace(plan, trials=(replace(first, **said), *others))


def begun(home: Home, **said: Any) -> tuple[Tracker, Plan]:
    """A tracker of a sweep that is in MLflow, and the plan after a choice of its first trial."""
    plan, store = finished(home)
    tracker = make_tracker(with_first(plan, **said), store, home, "1a2b3c4")
    tracker.write_all()
    return tracker, with_first(plan, selection=CHOSEN)


def scores_of(tracker: Tracker, plan: Plan) -> dict[str, Run]:
    """The runs of trials by stage id."""
    ids = {trial.id for trial in plan.trials}
    runs = {run.data.tags.get("stage_id", ""): run for run in tracker.found.all_runs()}
    return {stage_id: run for stage_id, run in runs.items() if stage_id in ids}


@pytest.mark.parametrize("before", [{"purpose": SEARCH}, {}])
def test_trial_that_a_search_chooses_late_stays_in_mlflow(home: Home, before: dict[str, Any]):
    """An oracle's own candidate, or the row of the paper's values: its run told another story when
    it was written. It was deleted at the end of the launch, and the table missed the trial.
    """
    tracker, chosen = begun(home, **before)
    tracker.extend(chosen)
    tracker.close("FINISHED")
    runs = scores_of(tracker, chosen)
    assert runs.keys() == {trial.id for trial in chosen.trials}
    assert tracker.client.get_run(tracker.found.parent_id).info.status == "FINISHED"


def test_run_of_a_trial_says_what_it_is_for_and_how_its_settings_were_chosen(home: Home):
    """Who filters MLflow's list sees an oracle as one, and tells candidates from results."""
    tracker, chosen = begun(home, purpose=SEARCH)
    first, second = chosen.trials
    said = scores_of(tracker, chosen)[first.id].data.params
    assert (said["purpose"], said["selection"]) == ("search", "none")
    tracker.extend(chosen)
    runs = scores_of(tracker, chosen)
    said = runs[first.id].data.params
    assert (said["purpose"], said["selection"]) == ("evaluate", CHOSEN)
    assert runs[second.id].data.params["selection"] == "none"


def test_growth_of_which_mlflow_heard_nothing_is_told_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    """A server that answers badly for a moment must not cost the record its new trials."""
    tracker, chosen = begun(home)
    send = tracker._send_record
    fails_once = Mock(side_effect=[MlflowException("away"), None])
    monkeypatch.setattr(tracker, "_send_record", lambda: (fails_once(), send()))
    monkeypatch.setattr("sweeps.tracking.background.FIRST_WAIT_S", 0.01)
    tracking = BackgroundTracking(lambda: tracker)
    tracking.grow(chosen)
    tracking.close("FINISHED", hurry=False)
    assert tracking.problem is None
    assert fails_once.call_count == 2
