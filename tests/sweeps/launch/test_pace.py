"""The time that is left, by the times of similar stages before and now, laid out on the slots."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from osr_core.kinds import FIT, SCORE
from osr_core.methods import METHODS
from osr_core.stage import Stage
from sweeps.launch.eta import Eta
from sweeps.launch.pace import Pace, makespan
from sweeps.planning.likeness import Group, likeness

# Runs of `digits` and `digits_all` on two cores, on four days: of each stage its kind, method,
# epochs, inputs, and when it began and ended, in seconds. `osr run digits` makes such stages; the
# times are those in their markers.
RUNS = json.loads((Path(__file__).parent / "recorded_runs.json").read_text())
RAY_S = 30.0  # that its start takes, before the first stage begins
Before = dict[Group, list[float]]


def fit(method: str, epochs: int, number: int = 0) -> Stage:
    """A stage whose effort is its epochs."""
    config = {"method": {"name": method}, "training": {"epochs": epochs}, "number": number}
    return Stage(kind=FIT, config=config)


def score(number: int, **inputs: Stage) -> Stage:
    """A stage of effort 1."""
    config = {"method": {"name": "cac"}, "number": number}
    return Stage(kind=SCORE, config=config, inputs=inputs)


def group(stage: Stage) -> Group:
    """What it is like."""
    return likeness(stage.kind.name, stage.config)


def ran(pace: Pace, stage: Stage, since: float, until: float) -> None:
    """A stage has been run."""
    pace.began(stage, since)
    pace.ended(stage, until - since, until)


def test_nothing_is_said_before_anything_began_or_is_known():
    """Ray's start tells nothing of the work, however long it takes."""
    todo = [fit("cac", 10), fit("cac", 10, 1)]
    pace = Pace(todo, {group(todo[0]): [2.0]})
    assert pace.eta(0.0) is None
    assert pace.eta(500.0) is None
    pace.began(todo[0], 500.0)
    known = pace.eta(500.0)
    assert known is not None
    assert known.seconds == pytest.approx(40.0)
    fresh = Pace(todo)
    fresh.began(todo[0], 500.0)
    assert fresh.eta(500.0) is None


def test_each_kind_and_method_has_its_own_rate():
    """Ten epochs of CAC took 100 s and a score 1 s: 20 more epochs and two scores take 202 s."""
    todo = [fit("cac", 10), fit("cac", 20), score(1), score(2), score(3), fit("softmax", 30)]
    pace = Pace(todo)
    ran(pace, todo[0], 0.0, 100.0)
    ran(pace, todo[2], 100.0, 101.0)
    pace.skipped(todo[5])
    eta = pace.eta(101.0)
    assert eta is not None
    assert eta.seconds == pytest.approx(202.0)
    pace.slots = 2
    assert (pace.eta(101.0) or eta).seconds == pytest.approx(200.0)  # beside the long fit


def test_machines_twice_as_slow_as_those_before_are_believed_more_with_each_stage():
    """Also for a method of which none has ended yet."""
    todo = [*(fit("cac", 10, number) for number in range(8)), fit("softmax", 10)]
    pace = Pace(todo, {group(todo[0]): [1.0], group(todo[-1]): [1.0]})
    told = []
    for number, stage in enumerate(todo[:8]):
        ran(pace, stage, 20.0 * number, 20.0 * (number + 1))
        told.append(pace.eta(20.0 * (number + 1)) or Eta(0, 0, 0))
    assert told[0].seconds > 80.0 + 8 * 10.0 / 2  # eight are left, each of more than 10 s
    assert told[-1].seconds == pytest.approx(20.0, rel=0.1)  # the last fit, of the other method
    assert told[-1].at_least < 20.0 < told[-1].at_most


def test_what_runs_is_nearly_done_and_what_is_overdue_is_not_forgotten():
    """A fit of 100 s has 40 s to go after 60, and some after 150."""
    todo = [fit("cac", 10), fit("cac", 10, 1)]
    pace = Pace(todo)
    ran(pace, todo[0], 0.0, 100.0)
    pace.began(todo[1], 100.0)
    assert (pace.eta(160.0) or Eta(0, 0, 0)).seconds == pytest.approx(40.0)
    assert (pace.eta(250.0) or Eta(0, 0, 0)).seconds == pytest.approx(10.0)


def test_stages_are_laid_out_as_they_will_be_handed_out():
    """Three fits of 10 s and their scores of 1 s: one after the other, two and three at a time."""
    fits = [fit("cac", 10, number) for number in range(3)]
    scores = [score(number, fit=each) for number, each in enumerate(fits)]
    left = {stage.id: stage for stage in (*fits, *scores)}
    lasts = {stage.id: stage.effort for stage in left.values()}
    assert [makespan(left, lasts, [], slots) for slots in (1, 2, 3)] == [33.0, 21.0, 11.0]
    begun = {fits[0].id: 2.0}
    assert makespan(left, {**lasts, **begun}, begun, 1) == 25.0


def test_ten_thousand_stages_are_laid_out_in_their_order():
    """Work over slots, where there is much of it."""
    fits = [fit("cac", 1, number) for number in range(5_000)]
    scores = [score(number, fit=each) for number, each in enumerate(fits)]
    left = {stage.id: stage for stage in (*fits, *scores)}
    assert makespan(left, dict.fromkeys(left, 1.0), [], 50) == pytest.approx(200.0)


def test_people_read_an_interval_where_there_is_one():
    """Both ends alike are one time."""
    assert str(Eta(125.0, 65.0, 190.0)) == "2 min 5 s (1 min 5 s to 3 min 10 s)"
    assert str(Eta(0.0, 0.0, 0.0)) == "0 s"
    assert str(Eta(7.24, 0.0, 23.4)) == "7 s (0 s to 23 s)"
    assert str(Eta(0.3, 0.0, 2.2)) == "a few seconds"
    assert str(Eta(0.3, 0.0, 6.2)) == "1 s (0 s to 6 s)"
    assert Eta(5.0, 3.0, 9.0).after(4.0) == Eta(1.0, 0.0, 5.0)


def stages_of(run: Sequence[Any]) -> list[Stage]:
    """The stages of a recorded run."""
    made: list[Stage] = []
    for number, (kind, method, epochs, inputs, *_) in enumerate(run):
        config = {"method": {"name": method}, "number": number}
        config |= {"training": {"epochs": epochs}} if kind == "fit" else {}
        upstream = {str(place): made[place] for place in inputs}
        made.append(Stage(kind=METHODS.kinds()[kind], config=config, inputs=upstream))
    return made


def paces_of(run: Sequence[Any]) -> Before:
    """What the store would tell of a run later."""
    told: Before = defaultdict(list)
    for stage, (*_, since, until) in zip(stages_of(run), run, strict=True):
        told[group(stage)].append(max(until - since, 0.05) / stage.effort)
    return told


def looks(run: Sequence[Any], before: Before | None) -> list[tuple[Eta, float]]:
    """What is said whenever a stage begins or ends, and the truth."""
    stages = stages_of(run)
    pace = Pace(stages, before)
    pace.slots, end = 2, max(row[5] for row in run)
    events = [(row[4], 1, number) for number, row in enumerate(run)]
    events += [(row[5], 0, number) for number, row in enumerate(run)]
    seen = []
    for at, begins, number in sorted(events):
        now = RAY_S + at
        if begins:
            pace.began(stages[number], now)
        else:
            pace.ended(stages[number], max(run[number][5] - run[number][4], 0.05), now)
        eta = pace.eta(now)
        if eta is not None and at < end:
            seen.append((eta, end - at))
    return seen


@pytest.fixture(scope="module")
def replayed() -> list[list[tuple[Eta, float]]]:
    """Of each run, all that was said: with nothing known before, with what any other run tells, and
    with what machines would tell that are three times as slow.
    """
    slow = {key: [3 * each for each in took] for key, took in paces_of(RUNS[0]).items()}
    told: list[list[tuple[Eta, float]]] = []
    for place, run in enumerate(RUNS):
        others = (paces_of(other) for number, other in enumerate(RUNS) if number != place)
        told.append([look for before in (None, slow, *others) for look in looks(run, before)])
    return told


def test_the_interval_holds_the_truth_in_four_of_five_looks_at_each_recorded_run(
    replayed: list[list[tuple[Eta, float]]],
):
    """On quicker, slower and busier machines than those known before."""
    for seen in replayed:
        held = [eta.at_least <= truth <= eta.at_most for eta, truth in seen]
        assert sum(held) / len(held) >= 0.8


def test_half_of_what_is_said_is_within_a_third_of_the_truth(
    replayed: list[list[tuple[Eta, float]]],
):
    """An interval of everything would hold the truth, too; the last seconds do not count."""
    looked = [(eta, truth) for seen in replayed for eta, truth in seen if truth > 5.0]
    errors = sorted(abs(math.log(eta.seconds / truth)) for eta, truth in looked)
    assert errors[len(errors) // 2] < math.log(4 / 3)
    early = [eta for eta, truth in looked if truth > 20.0]
    widths = sorted(eta.at_most / max(eta.at_least, 1.0) for eta in early)
    assert widths[len(widths) // 2] < 3.0
