"""Trials that are added while a sweep runs are run, kept, tracked and exported like the others."""

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from analysis.exports.write import export
from sweeps.home import Home
from sweeps.launch.launch import run_sweep
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_of
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Outcome
from sweeps.store.leases import FencedError
from sweeps.store.store import Store
from sweeps.tracking.synchronise import synchronise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
SPEC = {
    "name": "growing",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125},
    "training": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0},
    "methods": {"softmax": {}, "mls": {}},
}
LATER = {**SPEC, "splits": [1], "methods": {"softmax": {}}}


def more(plan: Plan, outcome: Outcome | None) -> Plan:
    """A second split, once the first trial has its result."""
    if outcome is None or outcome.stage_id not in plan.trial_ids or len(plan.trials) > 2:
        return plan
    return plan.extended(make_plan(parse_spec(LATER, "growing"), plan.fingerprints).trials)


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]
) -> tuple[Home, str]:
    """A home after a sweep that grew from two trials to three while Ray ran it."""
    home, out = Home(with_database(tmp_path_factory.mktemp("growing"))), io.StringIO()
    spec = parse_spec(SPEC, "growing")
    launch = run_sweep(spec, home, None, Console(file=out, width=200), growth=more)
    assert (launch.num_done, launch.missing, launch.tracking_problem) == (3, [], None)
    return home, out.getvalue()


def test_they_are_run_and_counted(grown: tuple[Home, str]):
    """Three stages for the two trials (one fit for both), two more for the third."""
    home, printed = grown
    plan = plan_of(Store(home.store).sweep("growing") or {})
    assert [trial.grown for trial in plan.trials] == [False, False, True]
    assert Store(home.store).committed(plan.stages) == set(plan.stages)
    assert "[5/5]" in printed


def test_they_are_in_mlflow_and_in_the_export(grown: tuple[Home, str], tmp_path: Path):
    """A later `osr sync` knows them too, though the spec does not name them."""
    home, _ = grown
    export(home.tracking_uri, "growing", tmp_path)
    rows = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    assert [(row["method"], row["split"]) for row in rows] == [
        ("mls", 0),
        ("softmax", 0),
        ("softmax", 1),
    ]
    store = Store(home.store)
    plan = plan_of(store.sweep("growing") or {})
    assert synchronise(plan, store, home, "1a2b3c4") == len(plan.stages)


def test_a_later_launch_without_growth_keeps_them(grown: tuple[Home, str]):
    """The same spec under the same name is the same sweep; nothing is left to do."""
    home, _ = grown
    launch = run_sweep(parse_spec(SPEC, "growing"), home, None, Console(quiet=True))
    assert (launch.started, launch.num_done, len(launch.plan.trials)) == (set(), 3, 3)


def test_a_driver_that_is_taken_over_at_the_end_says_so(
    tmp_path: Path, with_database: Callable[[Path], Path]
):
    """Its workers may have found what the other driver has made, and committed nothing."""
    home = Home(with_database(tmp_path))
    leases = Store(home.store).leases

    def taken_over(plan: Plan, outcome: Outcome | None) -> Plan:
        if outcome is not None and outcome.stage_id in plan.trial_ids:
            number, holder = leases.latest("growing")
            leases.create("growing", number + 1, {**(holder or {}), "pid": 1, "host": "elsewhere"})
        return plan

    spec = parse_spec({**SPEC, "methods": {"softmax": {}}}, "growing")
    with pytest.raises(FencedError, match="taken over by process 1 on elsewhere"):
        run_sweep(spec, home, None, Console(quiet=True), growth=taken_over)
