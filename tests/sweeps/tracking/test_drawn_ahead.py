"""Pictures of what is written next are begun before its turn comes."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeps.home import Home
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec
from sweeps.tracking.tracker import make_tracker
from tests.sweeps.tracking.test_arrival import SPEC, finished

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_pictures_of_two_trials_are_drawn_at_once_and_each_run_gets_its_own(home: Home):
    """Each waits for the other, which one after the other would wait for ever."""
    plan, store = finished(home)
    meeting = threading.Barrier(2, timeout=60)

    def draw(run: Mapping[str, Any], scores: bytes) -> dict[str, bytes]:
        meeting.wait()
        return {"roc.png": run["trial_id"].encode()}

    tracker = make_tracker(plan, store, home, "abc", draw)
    first, second = (trial.score for trial in plan.trials)
    tracker.write(first, [second])
    tracker.write(second)
    for stage in (first, second):
        (run,) = [r for r in tracker.found.all_runs() if r.data.tags.get("stage_id") == stage.id]
        picture = Path(run.info.artifact_uri.removeprefix("file://")) / "roc.png"
        assert picture.read_text() == stage.id


def test_a_stage_of_a_larger_plan_waits_until_that_is_known(home: Home):
    """The driver has handed it over while the tracker was busy; nothing is said of it yet."""
    plan, store = finished(home)
    smaller = make_plan(parse_spec({**SPEC, "splits": [0]}, "late"), plan.fingerprints)
    second = next(trial.score for trial in plan.trials if trial.id not in smaller.stages)
    tracker = make_tracker(smaller, store, home, "abc", lambda run, scores: {})
    tracker.write(smaller.trials[0].score, [second])
    assert tracker.found.finished == {smaller.trials[0].id}
    tracker.extend(plan)
    tracker.write(second)
    assert second.id in tracker.found.finished


def test_what_is_begun_is_forgotten_when_it_is_announced_no_more(home: Home):
    """A stage may be announced and never written; and a picture has the facts of one plan."""
    plan, store = finished(home)
    first, second = (trial.score for trial in plan.trials)
    drawn: list[str] = []

    def draw(run: Mapping[str, Any], scores: bytes) -> dict[str, bytes]:
        drawn.append(run["trial_id"])
        return {}

    tracker = make_tracker(plan, store, home, "abc", draw)
    tracker.write(first, [second])
    assert [*tracker._drawing._begun] == [second.id]
    tracker.extend(plan)
    tracker.write(second)
    assert sorted(drawn) == sorted([first.id, second.id, second.id])
    fit = first.inputs["model"]
    tracker._drawing.ahead([second])
    tracker.write(fit)
    assert tracker._drawing._begun == {}


def test_what_is_damaged_is_told_when_its_turn_comes(home: Home):
    """Looked at ahead, it does not stop the run before it; then it is set aside."""
    plan, store = finished(home)
    first, second = (trial.score for trial in plan.trials)
    folder = home.root / "store/stages" / second.id[:2] / second.id
    (path,) = folder.glob("scores-*.parquet")
    path.write_bytes(b"cut")
    tracker = make_tracker(plan, store, home, "abc")
    tracker.write(first, [second])
    assert (first.id in tracker.found.finished, store.committed([second.id])) == (True, {second.id})
    tracker.write(second)
    assert (second.id in tracker.found.finished, store.committed([second.id])) == (False, set())
