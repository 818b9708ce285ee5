"""Searches on a real cluster: what they ask is run, failures are told, and the choice evaluated."""

import io
from collections.abc import Callable
from pathlib import Path

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


def spec_of(points: list[dict[str, float]]) -> SweepSpec:
    """A search over a learning rate and over what is fitted to the network afterwards."""
    space = {"training.lr": [0.05, LOST], "tail": [5, 10]}
    search = {"space": space, "enqueue": points, "candidates": len(points), "lag": 1}
    return parse_spec({**SPEC, "methods": {"openmax": {"search": search}}}, "failing")


def ran(home: Home, points: list[dict[str, float]]) -> tuple[Launch, str]:
    """A launch of the search that tries these settings, and what it printed."""
    out = io.StringIO()
    return run_sweep(spec_of(points), home, None, Console(file=out, width=200)), out.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, with_database: Callable[[Path], Path]) -> Home:
    """Where MLflow has its database already."""
    return Home(with_database(tmp_path_factory.mktemp("failing")))


def test_a_candidate_whose_network_is_lost_is_told_and_another_is_chosen(home: Home):
    """The second candidate needs the very fit that was given up for the first."""
    launch, _ = ran(home, POINTS)
    (search,) = launch.plan.searches
    states = [(each["state"], each["chosen"]) for each in search["candidates"]]
    assert states[:2] == [("failed", None), ("failed", None)]
    assert sorted(states[2:], key=str)[0] == ("complete", 0)
    reasons = [each["reason"] for each in search["candidates"][:2]]
    assert "Lower the learning rate" in reasons[0]
    assert reasons[1]
    assert (launch.missing, launch.unchosen, launch.tracking_problem) == ([], [], None)
    (evaluated,) = [trial for trial in launch.plan.trials if trial.purpose == "evaluate"]
    assert evaluated.hyperparameters["training.lr"] == 0.05
    assert "held_out_classes_auroc" in evaluated.selection
    assert evaluated.selection.endswith("best of 4 candidates")


def test_a_fit_is_shared_by_candidates_that_differ_afterwards(home: Home):
    """Four candidates, one fit that is lost and one that serves two; one more to evaluate."""
    launch, _ = ran(home, POINTS)
    assert not launch.started
    fits = [stage for stage in launch.plan.stages.values() if stage.kind.trains]
    assert len(launch.store.committed(stage.id for stage in fits)) == 2


def test_mlflow_has_a_run_for_the_search_and_below_it_its_candidates(home: Home):
    """Filterable by state; the runs of a candidate's trials stand below it."""
    client = MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name("failing")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}

    def of(kind: str, more: str = "") -> list[str]:
        found = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'{more}")
        return [run.info.run_id for run in found]

    def above(run_id: str) -> str:
        return str(runs[run_id].data.tags["mlflow.parentRunId"])

    (search,), candidates = of("search"), of("candidate")
    assert {above(run_id) for run_id in candidates} == {search}
    assert runs[above(search)].data.tags["kind"] == "sweep"
    assert len(of("candidate", " and tags.state = 'failed'")) == 2
    (chosen,) = of("candidate", " and tags.chosen = '1'")
    assert runs[chosen].data.metrics["held_out_classes_auroc/mean"] > 0
    assert {above(run_id) for run_id in of("validate")} <= set(candidates)


def test_a_record_gives_the_searches_back(home: Home):
    """What `osr sync` makes of it shows the same."""
    launch, _ = ran(home, POINTS)
    again = plan_of(launch.store.sweep("failing") or {})
    assert again.searches == launch.plan.searches
    assert again.stages.keys() == launch.plan.stages.keys()


def test_a_search_that_chooses_nothing_says_so(tmp_path: Path, with_database):
    """All candidates failed; no table can have the row."""
    launch, _ = ran(Home(with_database(tmp_path)), POINTS[:2])
    (sentence,) = launch.unchosen
    assert "search of openmax on digits has chosen nothing: the last one failed" in sentence
