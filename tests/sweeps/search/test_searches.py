"""Searches on a real cluster: what they ask is run, failures are told, and the choice evaluated."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from sweeps.home import Home
from sweeps.launch.launch import run_sweep
from sweeps.launch.state import Launch
from sweeps.planning.record import plan_of
from sweeps.planning.spec import SweepSpec, parse_spec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
LOST = 1e9  # a learning rate that loses every network
POINTS = [
    {"training.lr": LOST, "tail": 5},
    {"training.lr": LOST, "tail": 10},
    {"training.lr": 0.05, "tail": 5},
    {"training.lr": 0.05, "tail": 10},
]
SPEC = {
    "name": "failing",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.1},
    "training": {"epochs": 2, "batch_size": 32, "warmup_epochs": 0},
}


def spec() -> SweepSpec:
    """Two searches: over a learning rate and over what is fitted to the network afterwards; and one
    of which no network can be trained.
    """
    space = {"training.lr": [0.05, LOST], "tail": [5, 10]}
    search = {"space": space, "enqueue": POINTS, "candidates": len(POINTS), "lag": 1}
    lost = {"space": {"training.lr": [LOST, 2 * LOST]}, "candidates": 2}
    methods = {"openmax": {"search": search}, "mls": {"search": lost}}
    return parse_spec({**SPEC, "methods": methods}, "failing")


def ran(home: Home) -> Launch:
    """A launch of both."""
    return run_sweep(spec(), home, None, Console(quiet=True))


def search_of(launch: Launch, method: str) -> dict[str, Any]:
    """As the record has it."""
    (search,) = [each for each in launch.plan.searches if each["method"] == method]
    return search


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]
) -> Launch:
    """One of a new home."""
    return ran(Home(with_database(tmp_path_factory.mktemp("failing"))))


@pytest.fixture(scope="module")
def again(first: Launch) -> Launch:
    """Another one of the same home."""
    return ran(first.home)


def test_a_candidate_whose_network_is_lost_is_told_and_another_is_chosen(first: Launch):
    """The second candidate needs the very fit that was given up for the first."""
    search = search_of(first, "openmax")
    states = [(each["state"], each["chosen"]) for each in search["candidates"]]
    assert states[:2] == [("failed", None), ("failed", None)]
    assert sorted(states[2:], key=str)[0] == ("complete", 0)
    reasons = [each["reason"] for each in search["candidates"][:2]]
    assert "Lower the learning rate" in reasons[0]
    assert reasons[1]
    assert (first.missing, first.tracking_problem) == ([], None)
    (evaluated,) = [trial for trial in first.plan.trials if trial.purpose == "evaluate"]
    assert evaluated.hyperparameters["training.lr"] == 0.05
    assert "held_out_classes_auroc" in evaluated.selection
    assert evaluated.selection.endswith("best of 4 candidates")


def test_a_fit_is_shared_by_candidates_that_differ_afterwards(again: Launch):
    """Four candidates, one fit that is lost and one that serves two; one more to evaluate."""
    assert not again.started
    fits = [stage for stage in again.plan.stages.values() if stage.kind.trains]
    assert len(again.store.committed(stage.id for stage in fits)) == 2


def test_mlflow_has_a_run_for_the_search_and_below_it_its_candidates(first: Launch):
    """Filterable by state; the runs of a candidate's trials stand below it."""
    client = MlflowClient(first.home.tracking_uri)
    experiment = client.get_experiment_by_name("failing")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}

    def of(kind: str, more: str = "") -> list[str]:
        found = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'{more}")
        return [run.info.run_id for run in found]

    def above(run_id: str) -> str:
        return str(runs[run_id].data.tags["mlflow.parentRunId"])

    searches, candidates = of("search"), of("candidate")
    assert sorted(Counter(map(above, candidates)).values()) == [2, 4]
    assert {above(run_id) for run_id in candidates} == set(searches)
    assert {runs[above(run_id)].data.tags["kind"] for run_id in searches} == {"sweep"}
    (chosen,) = of("candidate", " and tags.chosen = '1'")
    assert runs[chosen].data.metrics["held_out_classes_auroc/mean"] > 0
    failed = Counter(map(above, of("candidate", " and tags.state = 'failed'")))
    assert (failed.total(), failed[above(chosen)]) == (4, 2)
    assert {above(run_id) for run_id in of("validate")} <= set(candidates)


def test_a_record_gives_the_searches_back(again: Launch):
    """What `osr sync` makes of it shows the same."""
    recorded = plan_of(again.store.sweep("failing") or {})
    assert recorded.searches == again.plan.searches
    assert recorded.stages.keys() == again.plan.stages.keys()


def test_a_search_that_chooses_nothing_says_so(first: Launch):
    """All candidates failed; no table can have the row."""
    (sentence,) = first.unchosen
    assert "search of mls on digits has chosen nothing: the last one failed" in sentence
