"""A change of the code that nobody gave a version number: said, asked about, acted upon."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from mlflow import MlflowClient

from osr_core.errors import ConfigError
from osr_core.imported import SCORES, WEIGHTS, Imported
from osr_core.source import source_of
from sweeps.commands.run import ask
from sweeps.launch.changed import changed_stages, in_words, refuse, settle
from sweeps.planning.data import plan_with_data
from sweeps.planning.imports import entries_of, with_scores, with_weights
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store
from tests.plain import results
from tests.sweeps.command import call_osr

ROOT = Path(__file__).parents[3]
SPEC = """
name: small
datasets: [digits]
splits: [0]
backbone: {width: 0.1}
training: {epochs: 1}
methods: {softmax: {}, cac: {}}
"""
CAC, CAC_FIT = "score cac digits/0 seed 0", "fit cac digits/0 seed 0"
BY_OTHERS = "made by different source code under the same version number"
TIMES = {"started_at": 1.0, "wall_s": 1.0}


def planned(*methods: str, name: str = "small") -> Plan:
    """One epoch of each method on one split of the digits."""
    values = {"name": name, "datasets": ["digits"], "splits": [0], "backbone": {"width": 0.1}}
    values |= {"training": {"epochs": 1}, "methods": {method: {} for method in methods}}
    return plan_with_data(parse_spec(values, name), None)


def leave(store: Store, plan: Plan, others: Sequence[str] = ()) -> None:
    """Commit a plan's stages; those with a label in `others` were made by other source."""
    for stage in plan.stages.values():
        source = "other" if plan.describe(stage) in others else source_of(stage.identity)
        store.commit(stage.id, stage.identity, {}, {}, **TIMES, host="here", source=source)
    store.save_sweep(plan.spec.name, plan_record(plan, "-"))


def labels(plan: Plan, ids: Sequence[str] | set[str]) -> set[str]:
    """What people call stages."""
    return {plan.describe(plan.stages[stage_id]) for stage_id in ids}


def test_results_of_other_source_are_told_from_those_of_this(tmp_path: Path) -> None:
    """One that says nothing, as from before, is taken for what it was taken for so far."""
    plan, store = planned("softmax", "cac"), Store(tmp_path / "store")
    leave(store, plan, [CAC])
    (changed,) = changed_stages(plan.stages, store, plan.stages.keys())
    assert plan.describe(changed) == CAC
    assert changed_stages(plan.stages, store, []) == []
    before = Store(tmp_path / "before")
    for stage in plan.stages.values():
        before.commit(stage.id, stage.identity, {}, {}, **TIMES, host="here")
    assert changed_stages(plan.stages, before, plan.stages.keys()) == []


def test_a_few_of_many_are_named() -> None:
    """A page of names would hide how many there are."""
    plan = planned("softmax", "mls", "cac")
    stages = list(plan.stages.values())
    assert in_words(plan, stages[:1]).startswith(f"1 result was {BY_OTHERS}")
    told = in_words(plan, stages)
    assert told.startswith(f"5 results were {BY_OTHERS}: fit softmax")
    assert told.endswith("score mls digits/0 seed 0 and 2 more.")


def test_what_is_made_anew_takes_along_all_that_rests_on_it(tmp_path: Path) -> None:
    """Also another sweep's stages, whose own source has not changed."""
    plan, store = planned("softmax", "cac"), Store(tmp_path)
    mls = planned("mls", "openmax", name="others")
    leave(store, plan, ["fit softmax digits/0 seed 0"])
    leave(store, mls)
    settle(plan, store, lambda told: True)
    assert labels(plan, store.committed(plan.stages)) == {CAC_FIT, CAC}
    assert store.to_make_again(mls.stages) == set(mls.stages)
    assert changed_stages(plan.stages, store, store.committed(plan.stages)) == []


def test_what_is_kept_stays_and_is_asked_about_again(tmp_path: Path) -> None:
    """An answer holds for one launch."""
    plan, store, told = planned("softmax", "cac"), Store(tmp_path), []
    leave(store, plan, [CAC, CAC_FIT])
    for _ in range(2):
        settle(plan, store, lambda text: bool(told.append(text)))
    assert told == [f"2 results were {BY_OTHERS}: {CAC_FIT}, {CAC}."] * 2
    assert store.committed(plan.stages) == set(plan.stages)


def with_import(plan: Plan, what: str) -> Plan:
    """A plan with a network, or with scores, that came from elsewhere."""
    split, imported = plan.trials[0].split, Imported(what=what, file="theirs", sha256="3f9a")
    if what == SCORES:
        return plan.extended([with_scores("theirs", split, plan.fingerprints, imported)])
    (entry,) = entries_of(plan.spec, split, ["softmax"])
    return plan.extended([with_weights(entry, split, 0, plan.fingerprints, imported)])


@pytest.mark.parametrize(
    ("what", "label"),
    [
        (SCORES, "scores.import theirs imported digits/0 seed 0"),
        (WEIGHTS, "weights.import softmax digits"),
    ],
)
def test_an_import_of_other_code_is_never_withdrawn(what: str, label: str, tmp_path: Path) -> None:
    """Nothing here can make it again; whoever has its file can, and others may keep it."""
    plan, store = with_import(planned("softmax", "cac"), what), Store(tmp_path)
    leave(store, plan, [label, CAC])
    how = rf"--remake cannot renew imports; import their files again \(osr import\): {label}\."
    with pytest.raises(ConfigError, match=rf"{how} Or use the old results by --keep"):
        settle(plan, store, lambda told: True)
    with pytest.raises(ConfigError, match=rf"^2 results were .*{how} Use --remake to"):
        settle(plan, store, refuse)
    assert not settle(plan, store, lambda told: False)
    assert store.committed(plan.stages) == set(plan.stages)


def test_a_break_in_setting_aside_leaves_nothing_that_rests_on_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users go first; what is left is found changed the next time."""
    plan, store = planned("cac"), Store(tmp_path)
    leave(store, plan, [CAC_FIT])
    moved = []
    monkeypatch.setattr(Store, "_put_aside", lambda self, stage_id: moved.append(stage_id))
    settle(plan, store, lambda told: True)
    assert [plan.describe(plan.stages[stage_id]) for stage_id in moved] == [CAC, CAC_FIT]


@pytest.mark.parametrize(("answers", "result"), [([True], True), ([False, True], False)])
def test_on_a_terminal_there_is_a_question(
    answers: list[bool], result: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two, each with a plain yes or no."""
    left = list(answers)
    monkeypatch.setattr(typer, "confirm", lambda question: left.pop(0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert ask("3 results ...") is result
    assert left == []


def test_two_times_no_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nobody can be asked."""
    monkeypatch.setattr(typer, "confirm", lambda question: False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(typer.Exit) as ended:
        ask("3 results ...")
    assert ended.value.exit_code == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(ConfigError, match=r"3 results \.\.\. Use --remake .* or --keep"):
        ask("3 results ...")


def test_both_answers_at_once_are_refused(tmp_path: Path) -> None:
    """One of them must be a slip."""
    done = call_osr("run", "digits", "--remake", "--keep", home=tmp_path)
    assert done.returncode == 2
    assert "say opposite things" in done.stderr


# -- through the command line, with a copy of the source ------------------------------------------


class Copy:
    """The packages in a folder of their own, and a home in which one small sweep is done."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.code, self.home, self.spec = folder / "code", home, folder / "small.yaml"
        for name in ("osr_core", "sweeps", "analysis"):
            shutil.copytree(
                ROOT / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        self.spec.write_text(SPEC)

    def osr(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command by this code."""
        command = [sys.executable, "-m", "sweeps", *words, "--home", str(self.home)]
        environment = {**os.environ, "PYTHONPATH": str(self.code)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each command compiles all of it
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.code, check=False
        )

    def aurocs(self) -> dict[str, float]:
        """By method, of the export."""
        rows = pq.read_table(self.home / "exports" / "small" / "runs.parquet").to_pylist()
        return {row["method"]: row["auroc"] for row in rows}


@pytest.fixture
def copy(tmp_path: Path, with_database: Callable[[Path], Path]) -> Copy:
    """A finished sweep, made in this process by source of the same words."""
    made = Copy(tmp_path, with_database(tmp_path / "home"))
    plan = planned("softmax", "cac")
    store = Store(made.home / "store")
    for stage, result in results(plan.stages.values()):
        source = source_of(stage.identity)
        content = (result.artifacts, result.metrics)
        store.commit(stage.id, stage.identity, *content, **TIMES, host="here", source=source)
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_flipped_sign_is_named_and_its_scores_are_made_anew(copy: Copy) -> None:
    """From the plan over the refusal to the numbers in MLflow, the export and the store."""
    spec = str(copy.spec)
    first = call_osr("run", spec, home=copy.home)
    assert "2 of 2 trials done; this launch started 0 of 4 stages" in first.stdout, first.stderr
    before = copy.aurocs()
    file = copy.code / "osr_core" / "methods" / "cac.py"
    written, said = file.read_text(), "score.float(), embedding"
    assert said in written
    file.write_text(written.replace(said, f"-{said}"))
    told = f"1 result was {BY_OTHERS}: {CAC}."
    assert f"note: {told}" in copy.osr("plan", spec).stderr
    refused = copy.osr("run", spec)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: {told} Use --remake to compute")
    assert "this launch started 0 of 4 stages" in copy.osr("run", spec, "--keep").stdout
    assert copy.aurocs() == before
    remade = copy.osr("run", spec, "--remake")
    assert "2 of 2 trials done; this launch started 1 of 4 stages" in remade.stdout, remade.stderr
    after = copy.aurocs()
    assert after["softmax"] == before["softmax"]
    assert after["cac"] == pytest.approx(1 - before["cac"])
    client = MlflowClient(f"sqlite:///{copy.home}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    asked = "tags.mlflow.runName = 'CAC digits/0 seed 0'"
    (run,) = client.search_runs([experiment.experiment_id], asked)
    assert run.data.metrics["test/auroc"] == after["cac"]
    again = copy.osr("plan", spec, "--json")
    assert (json.loads(again.stdout)["to_run"], BY_OTHERS in again.stderr) == (0, False)
