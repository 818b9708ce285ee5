"""`osr study` prints what searches have tried, and `osr status` a line of each."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.planning.record import trial_facts
from sweeps.store.store import Store
from tests.sweeps.command import call_osr
from tests.sweeps.search.worlds import play, smooth, spec_with, study_of

SPEC = spec_with({"candidates": 10, "lag": 2})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the record of a search of ten candidates, and of a sweep without one."""
    store = Store(tmp_path / "store")
    study = play(lambda: study_of(SPEC, store), smooth, seed=1, at_once=2)
    trials = [trial for steps in study._steps for step in steps for trial in step.values()]
    stages = {stage.id: stage for trial in trials for stage in trial.score.walk()}
    record = {
        "sweep": "searching",
        "trials": [trial_facts(SPEC, trial) for trial in trials],
        "stages": [
            {
                "stage_id": each.id,
                "kind": each.kind.name,
                "label": "fit",
                "inputs": [i.id for i in each.inputs.values()],
            }
            for each in stages.values()
        ],
        "searches": [study.facts()],
        "leaves": {"fit": ["history.parquet"]},
    }
    for stage_id in stages:
        store.commit(stage_id, {}, {}, {}, started_at=1.0, wall_s=3600.0, host="here")
    store.save_sweep("searching", record)
    store.save_sweep("plain", {"sweep": "plain", "trials": [], "stages": []})
    return tmp_path


def test_candidates_are_printed_best_first_at_80_columns(home: Path, monkeypatch):
    """With the id that `osr figure search --search` asks, rule, states, savings and reasons."""
    monkeypatch.setenv("COLUMNS", "80")
    text = call_osr("study", "searching", home=home).stdout
    (facts,) = json.loads(call_osr("study", "searching", "--json", home=home).stdout)
    assert max(map(len, text.splitlines())) <= 80
    title = f"search {facts['search_id'][:8]} of cac on digits by held_out_classes_auroc (AUROC"
    assert text.startswith(title)
    assert "10 of 10 candidates asked: " in text
    assert f"pruning saved {facts['saved_steps']} of 50 steps" in " ".join(text.split())
    assert "behind candidate" in text
    assert text.index(" chosen ") < text.index(" complete ") < text.index(" pruned ")
    assert "0/0 1/0 2/0 3/0 4/0" in text
    weights = [each["params"]["anchor_weight"] for each in facts["candidates"]]
    assert all(f"anchor_weight={weight:.4g}, " in text for weight in weights)  # none is broken


def test_json_has_every_value(home: Path):
    """For programs: the places of complete candidates, and what pruning saved."""
    (facts,) = json.loads(call_osr("study", "searching", "--json", home=home).stdout)
    first, *others = facts["candidates"]
    complete = [each for each in facts["candidates"] if each["state"] == "complete"]
    assert (first["rank"], first["chosen"]) == (1, 0)
    assert [each["rank"] for each in complete] == list(range(1, len(complete) + 1))
    assert first["mean"] == max(each["mean"] for each in complete)
    assert {each["rank"] for each in others if each["state"] == "pruned"} == {None}
    assert facts["saved_steps"] == sum(
        5 - len(each["values"]["held_out_classes_auroc"])
        for each in facts["candidates"]
        if each["state"] == "pruned"
    )
    assert facts["saved_hours"] == pytest.approx(2 * facts["saved_steps"])  # a fit and its scores


def test_status_has_a_line_of_each_search(home: Path):
    """What is asked, the best so far, and the time that pruning saved: 2 h for each step."""
    text = " ".join(call_osr("status", "searching", home=home).stdout.split())
    (facts,) = json.loads(call_osr("study", "searching", "--json", home=home).stdout)
    assert "search of cac on digits: 10 of 10 candidates asked, best " in text
    saved = facts["saved_steps"]
    assert saved > 0
    assert f"; pruning saved {saved} of 50 steps, about {2 * saved} h 0 min" in text
    assert "search" not in call_osr("status", "plain", home=home).stdout


def test_sweep_without_a_search_is_named(home: Path):
    """And so is one that does not exist."""
    assert "sweep 'plain' searches nothing" in call_osr("study", "plain", home=home).stderr
    assert call_osr("study", "searchng", home=home).returncode == 2


def test_dashboard_that_is_not_installed_is_named(home: Path, monkeypatch):
    """With what to install, in one sentence."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = call_osr("study", "searching", "--dashboard", home=home)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("not installed: pip install 'osr-sweeps[dashboard]'")


def test_dashboard_is_opened_on_a_journal_of_the_searches(home: Path, monkeypatch):
    """It shows all candidates, and nothing of it is left."""
    shown = []

    def run_server(storage, *, host: str, port: int) -> None:
        studies = storage.get_all_studies()
        trials = [storage.get_all_trials(study._study_id) for study in studies]
        shown.append((host, port, [len(each) for each in trials]))

    fake = SimpleNamespace(run_server=run_server, __spec__=object())
    monkeypatch.setitem(sys.modules, "optuna_dashboard", fake)
    monkeypatch.setattr("sweeps.commands.dashboard.check_free", lambda host, port: None)
    done = call_osr("study", "searching", "--dashboard", "--port", "8123", home=home)
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:8123 (Ctrl-C ends it)" in done.stdout
    assert shown == [("127.0.0.1", 8123, [10])]
