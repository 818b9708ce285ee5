"""Kinds of stages that methods of other packages bring."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from osr_core.errors import ConfigError, VersionError
from osr_core.execution import check_code, run_stage
from osr_core.kinds import GENERAL, IMPORT_SCORES, SCORE, Kind
from osr_core.methods import METHODS, OWN
from osr_core.methods.plugins import Methods
from osr_core.stage import Stage
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from tests.plain import context
from tests.test_plugin import example, install

ROOT = Path(__file__).parents[1]
SPEC = """
name: balanced
datasets: [digits]
splits: [0]
backbone: {width: 0.1}
training: {epochs: 1}
methods: {softmax: {}, balanced: {label_smoothing: [0.0, 0.1]}}
resources: {kinds: {balanced.count: {gpus: 0}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the page's second example, installed."""
    (tmp_path / "osr_balanced.py").write_text(example("python", 1))
    install(tmp_path, "balanced", "osr_balanced:Balanced")
    return tmp_path


@pytest.fixture
def plan(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    """Two trials of the example in this process."""
    monkeypatch.syspath_prepend(site)
    for name in ("loaded", "broken"):
        monkeypatch.setattr(METHODS, name, {})
    METHODS.__dict__.pop("plugins", None)
    values = {"name": "one", "datasets": ["digits"], "splits": [0]}
    values |= {"methods": {"balanced": {"label_smoothing": [0.0, 0.1]}}}
    spec = parse_spec(values, "one")
    yield make_plan(spec, fingerprints(None, benchmark("digits")))
    METHODS.__dict__.pop("plugins", None)
    sys.modules.pop("osr_balanced", None)


def counting(plan: Plan) -> Stage:
    """The plan's one stage of the example's own kind."""
    (stage,) = [each for each in plan.stages.values() if each.kind.name == "balanced.count"]
    return stage


def test_a_kind_of_a_plugin_is_planned_like_any_other(plan: Plan) -> None:
    """Its stage is shared where its settings are equal; it is named, counted and recorded."""
    stage = counting(plan)
    assert plan.describe(stage) == "balanced.count balanced digits/0"
    assert len(plan.trials_of[stage.id]) == 2
    assert {kind.name: number for kind, number in plan.kinds().items()} == {
        "balanced.count": 1,
        "fit": 2,
        "score": 2,
    }
    assert plan_record(plan, "-")["leaves"]["balanced.count"] == ["class_counts.parquet"]


def test_a_kind_of_a_plugin_runs_by_its_name(plan: Plan) -> None:
    """A worker knows a stage by the plain JSON of its identity alone."""
    identity = json.loads(json.dumps(counting(plan).identity))
    check_code(identity)
    result = run_stage(identity["kind"], identity["config"], context({}))
    assert result.metrics["count/smallest"] > 100
    with pytest.raises(VersionError, match=r"stage balanced\.count has version 1 here and 2"):
        check_code({**identity, "version": 2})
    with pytest.raises(
        VersionError, match=r"'balanced' brings no stages of kind 'balanced\.other'"
    ):
        run_stage("balanced.other", identity["config"], context({}))


def test_a_kind_that_a_method_does_not_bring_is_refused_in_the_plan(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker could find what runs it."""
    monkeypatch.setattr(METHODS["balanced"], "kinds", {})
    with pytest.raises(ConfigError, match=r"'balanced' asks for a stage of kind 'balanced\.count'"):
        make_plan(plan.spec, plan.fingerprints)


BRINGS = """
from osr_core.kinds import GENERAL, Kind
from osr_core.methods import PMAL, Softmax

class Mine({base}):
    name = "mine"
    title = "Mine"
    kinds = {kinds}
"""


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [
        ("{Kind(name='fit'): print}", "'fit' has the name of another one, 'fit'"),
        ("{Kind(name='pmal.mine'): print}", "has the name of another one, 'pmal.mine'"),
        (
            "{Kind(name='mine.a', leaves=('scores.parquet',)): print}",
            "has the table scores.parquet of another one, 'score'",
        ),
        ("{Kind(name='mine.a', leaves=('runs.parquet',)): print}", "cannot leave 'runs.parquet'"),
    ],
)
def test_two_kinds_of_one_name_are_refused(
    kinds: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else results of two functions would stand under one name, or in one file."""
    monkeypatch.syspath_prepend(tmp_path)
    module = f"brings_{abs(hash(kinds))}"
    (tmp_path / f"{module}.py").write_text(BRINGS.format(base="Softmax", kinds=kinds))
    install(tmp_path, "mine", f"{module}:Mine")
    methods = Methods(OWN)
    with pytest.raises(ConfigError, match="cannot be used: ") as caught:
        methods.named("mine")
    assert problem in str(caught.value)
    assert list(methods) == list(OWN)


def test_a_subclass_brings_the_same_kinds_as_its_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same kind with the same function is no clash: its stages may be shared."""
    monkeypatch.syspath_prepend(tmp_path)
    kinds = "{**PMAL.kinds, Kind(name='mine.a', leaves=('history.parquet',)): print}"
    (tmp_path / "brings_more.py").write_text(BRINGS.format(base="PMAL", kinds=kinds))
    install(tmp_path, "mine", "brings_more:Mine")
    methods = Methods(OWN)
    assert methods.named("mine").title == "Mine"
    assert list(methods.kinds()) == [
        *GENERAL,
        "pmal.mine",
        "gan.generate",
        "c2ae.reconstruct",
        "mine.a",
    ]


def test_no_two_of_our_own_kinds_share_a_name_or_a_table() -> None:
    """What is asked of plugins holds here too."""
    kinds = list(METHODS.kinds().values())
    scored = {SCORE, IMPORT_SCORES}  # a trial has one of them
    pairs = [
        (one, other)
        for one in kinds
        for other in kinds
        if one is not other and not {one, other} <= scored
    ]
    assert [pair for pair in pairs if Kind.shared_with(*pair)] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_pages_stage_of_its_own_goes_all_the_way(
    site: Path, with_database: Callable[[Path], Path]
) -> None:
    """Plan, Ray, store, MLflow and an exported file for its table, with nothing of it in here."""
    home, spec = with_database(site / "home"), site / "spec.yaml"
    spec.write_text(SPEC)
    environment = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}"}

    def osr(*words: str) -> str:
        command = [sys.executable, "-m", "sweeps", *words, "--home", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=site)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert json.loads(osr("plan", str(spec), "--json"))["kinds"]["balanced.count"] == 1
    assert "3 of 3 trials done; this launch started 7 of 7 stages" in osr("run", str(spec))
    counts = pq.read_table(home / "exports" / "balanced" / "class_counts.parquet")
    assert counts.column_names == ["stage_id", "dataset", "split", "label", "images"]
    assert counts["label"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert set(counts["dataset"].to_pylist()) == {"digits"}
    client = MlflowClient(f"sqlite:///{home}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("balanced")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'balanced.count'")
    assert run.info.run_name == "balanced.count balanced digits/0"
    assert run.data.metrics["count/smallest"] > 100
