"""A search whose results were made by other code: made anew, or kept with what it was told."""

from pathlib import Path

import pytest

from osr_core.source import source_of
from osr_core.stage import Stage
from sweeps.launch.launch import settled
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Outcome
from sweeps.search.searches import Searches
from sweeps.store.store import Store

WEIGHT = {"anchor_weight": {"low": 0.01, "high": 1.0}}
SEARCH = {"space": WEIGHT, "candidates": 6, "lag": 2, "prune": "none"}
SPEC = {"name": "remade", "datasets": ["digits"], "splits": [0]}
METHODS = {"cac": [{}, {"search": SEARCH}]}
OLD, NEW = 0.2, 0.8  # where the best anchor weight lies by the old code and by this


def base() -> Plan:
    """The plan of the spec alone."""
    return plan_with_data(parse_spec({**SPEC, "methods": METHODS}, "remade"), None)


def commit(store: Store, plan: Plan, stage: Stage, best: float, source: str) -> None:
    """Leave a stage's numbers, the better the nearer its anchor weight is to the best."""
    trial = plan.trials_of[stage.id][0]
    number = 1 - abs(trial.hyperparameters["anchor_weight"] - best)
    numbers = {"validation/auroc": number, "validation/accuracy": number}
    store.commit(
        *(stage.id, stage.identity, {}, numbers),
        started_at=1.0,
        wall_s=1.0,
        host="here",
        source=source,
    )


def run(store: Store, plan: Plan, growth: Searches, best: float, source: str = "") -> Plan:
    """The plan after all has ended."""
    while todo := plan.stages.keys() - store.committed(plan.stages):
        for stage_id in [each for each in plan.stages if each in todo]:
            commit(store, plan, stage := plan.stages[stage_id], best, source)
            plan = growth(plan, Outcome(stage_id=stage.id, wall_s=1.0))
    return plan


def weight_chosen(plan: Plan) -> float:
    """The anchor weight of the candidate that the search has chosen."""
    (search,) = plan.searches
    (chosen,) = [each for each in search["candidates"] if each["chosen"] == 0]
    return float(chosen["params"]["anchor_weight"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which other code has run the search to its end."""
    store, plan = Store(tmp_path / "store"), base()
    growth = Searches(plan, store)
    run(store, growth(plan, None), growth, OLD, "other")
    return store


def test_results_made_anew_choose_anew(store: Store, tmp_path: Path):
    """By what they say now, and as a search does that has never heard of the old ones."""
    plan, growth = settled(base(), store, None, lambda told: True)
    assert isinstance(growth, Searches)
    assert [each["state"] for each in plan.searches[0]["candidates"]] == ["running"] * 2
    remade = run(store, plan, growth, NEW)
    fresh_store, plan = Store(tmp_path / "fresh"), base()
    growth = Searches(plan, fresh_store)
    fresh = run(fresh_store, growth(plan, None), growth, NEW)
    assert remade.searches == fresh.searches
    assert abs(weight_chosen(remade) - NEW) == min(
        abs(each["params"]["anchor_weight"] - NEW) for each in remade.searches[0]["candidates"]
    )


def test_results_that_are_kept_keep_the_choice(store: Store):
    """And a search whose own results are of this code forgets nothing."""
    plan, _ = settled(base(), store, None, lambda told: False)
    assert plan.searches[0]["over"]
    before = weight_chosen(plan)
    evaluation = next(trial for trial in plan.trials if trial.purpose == "evaluate")
    for stage in [*plan.stages.values()]:
        is_old = stage.id == evaluation.id
        store.withdraw([stage.id])
        commit(store, plan, stage, OLD, "other" if is_old else source_of(stage.identity))
    again, _ = settled(base(), store, None, lambda told: True)
    assert weight_chosen(again) == before
    assert evaluation.id not in store.committed([evaluation.id])
