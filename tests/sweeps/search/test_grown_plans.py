"""How searches let a plan grow: in one order, and to an end, whatever fails and whoever shares."""

import random
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from osr_core.stage import Stage
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause, Outcome
from sweeps.search.most import at_most
from sweeps.search.searches import Searches
from sweeps.store.store import Store

WEIGHT = {"anchor_weight": {"low": 0.01, "high": 1.0, "log": True}}
SPEC = {"name": "growing", "datasets": ["digits"], "splits": [0, 1]}
NUMBERS = [f"{part}/{name}" for part in ("validation", "test") for name in ("auroc", "oscr")]


def spec_of(*rules: str, candidates: int = 5) -> dict[str, object]:
    """The paper's values, and a search by each of these rules."""
    search = {"space": WEIGHT, "candidates": candidates, "lag": 2}
    entries = [{"search": {**search, "select": rule}} for rule in rules]
    return {**SPEC, "methods": {"softmax": {}, "cac": [{}, *entries]}}


def grown(store: Store, spec: dict[str, object], seed: int, lost: float = 0.0) -> Plan:
    """The plan after all has ended, in an order that the seed draws; some fits fail."""
    draw = random.Random(seed)
    plan = plan_with_data(parse_spec(spec, "growing"), None)
    searches = Searches(plan, store)
    plan = searches(plan, None)
    ended: set[str] = set()
    while todo := [stage for stage in plan.stages.values() if is_ready(stage, ended)]:
        stage = draw.choice(todo)
        ended.add(stage.id)
        chance = random.Random(stage.id).random()
        outcome = Outcome(stage_id=stage.id, wall_s=1.0)
        if stage.kind.trains and chance < lost:
            ended |= {each.id for each in plan.stages.values() if stage in each.inputs.values()}
            outcome = Outcome(stage_id=stage.id, wall_s=1.0, cause=Cause.ERROR, reason="lost")
        else:
            numbers = dict.fromkeys([*NUMBERS, "validation/accuracy"], chance)
            store.commit(
                stage.id, stage.identity, {}, numbers, started_at=0.0, wall_s=1.0, host="h"
            )
        plan = searches(plan, outcome)
    return plan


def is_ready(stage: Stage, ended: set[str]) -> bool:
    """Whether a stage waits for nothing but a worker."""
    return stage.id not in ended and {each.id for each in stage.inputs.values()} <= ended


@pytest.mark.parametrize("rules", [("held_out_classes_auroc",), ("known_accuracy", "oracle_auroc")])
def test_whatever_ends_first_the_plan_is_the_same(tmp_path: Path, rules: tuple[str, ...]):
    """Trials in one order, with the same selections, and what is said of the searches."""
    spec = spec_of(*rules)
    first = grown(Store(tmp_path / "1"), spec, seed=1)
    second = grown(Store(tmp_path / "2"), spec, seed=2)
    assert [trial.id for trial in first.trials] == [trial.id for trial in second.trials]
    assert [t.selection for t in first.trials] == [t.selection for t in second.trials]
    assert first.searches == second.searches
    assert not first.unchosen
    again = plan_with_data(parse_spec(spec, "growing"), None)
    later = Searches(again, Store(tmp_path / "1"))(again, None)
    assert [trial.id for trial in later.trials] == [trial.id for trial in first.trials]
    assert later.searches == first.searches


def test_two_searches_that_share_what_fails_both_end(tmp_path: Path):
    """The second asks for trials that were given up before it did."""
    rules = ("held_out_classes_auroc", "held_out_classes_oscr", "oracle_auroc")
    plan = grown(Store(tmp_path), spec_of(*rules, candidates=8), seed=3, lost=0.4)
    assert [search["over"] for search in plan.searches] == [True] * 3
    states = {each["state"] for search in plan.searches for each in search["candidates"]}
    assert "failed" in states


@pytest.mark.parametrize("changes", [{}, {"candidates": 9}, {"top": 2}])
def test_two_searches_that_would_be_one_are_refused(tmp_path: Path, changes: dict[str, int]):
    """They would ask the same candidates; a row of candidates of both would be listed twice."""
    spec = spec_of("known_accuracy", "known_accuracy")
    spec["methods"]["cac"][2]["search"] |= changes  # type: ignore[index]
    plan = plan_with_data(parse_spec(spec, "growing"), None)
    for planned in (lambda: at_most(plan), lambda: Searches(plan, Store(tmp_path))):
        with pytest.raises(ConfigError, match="two searches of cac ask the same candidates"):
            planned()
    spec["methods"]["cac"][2]["search"] |= {"seed": 1}  # type: ignore[index]
    assert len(at_most(plan_with_data(parse_spec(spec, "growing"), None))) == 2


def test_a_row_of_the_spec_that_a_search_has_chosen_says_both(tmp_path: Path):
    """One candidate, the paper's values: they are the row of the defaults."""
    plan = grown(Store(tmp_path), spec_of("held_out_classes_auroc", candidates=1), seed=1)
    said = {trial.selection for trial in plan.trials if trial.purpose == "evaluate"}
    both = next(each for each in said if each != "none")
    assert said == {"none", both}
    assert both.startswith("none, and held_out_classes_auroc (")


@pytest.mark.parametrize("cause", [Cause.CANCELLED, Cause.UNREACHABLE])
def test_a_stage_that_a_user_cancels_or_a_server_says_nothing_of_its_candidate(
    tmp_path: Path, cause: Cause
):
    """The next launch tries it again."""
    plan = plan_with_data(parse_spec(spec_of("known_accuracy"), "growing"), None)
    searches = Searches(plan, Store(tmp_path))
    plan = searches(plan, None)
    trial = next(trial for trial in plan.trials if trial.purpose == "search")
    fit = trial.score.inputs["model"]
    assert searches(plan, Outcome(stage_id=fit.id, wall_s=1.0, cause=cause)) is plan
    assert plan.searches[0]["candidates"][0]["state"] == "running"


@pytest.mark.parametrize("cause", [Cause.WORKER_DIED, Cause.NODE_LOST, Cause.OUT_OF_MEMORY])
def test_a_candidate_whose_worker_is_dead_has_failed_and_others_follow(
    tmp_path: Path, cause: Cause
):
    """Once its stage is given up; the reason says what it died of."""
    plan = plan_with_data(parse_spec(spec_of("known_accuracy"), "growing"), None)
    searches = Searches(plan, Store(tmp_path))
    plan = searches(plan, None)
    trial = next(trial for trial in plan.trials if trial.purpose == "search")
    asked = len(plan.searches[0]["candidates"])
    fit = trial.score.inputs["model"]
    plan = searches(plan, Outcome(stage_id=fit.id, wall_s=1.0, cause=cause))
    first, *others = plan.searches[0]["candidates"]
    assert (first["state"], first["reason"]) == ("failed", str(cause))
    assert {each["state"] for each in others} == {"running"}
    assert len(others) == asked  # one more than before
