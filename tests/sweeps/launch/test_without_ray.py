"""A sweep on a machine without Ray: plan, batch, merge, and `osr run` finds all done."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from osr_core.batch.__main__ import main
from osr_core.batch.ending import Ending
from osr_core.context import HISTORY, WEIGHTS
from osr_core.results.layout import folder_of
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from sweeps.running.machine import MACHINE
from sweeps.store.store import Store
from tests.plain import history
from tests.sweeps.alone import ALONE, ended, planned, started
from tests.sweeps.command import TINY

LONG = {
    "name": "long",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125},
    "training": {"epochs": 20, "batch_size": 32},
    "methods": {"softmax": {}},
}
OFTEN = "import osr_core.batch.ending as ending; ending.EVERY_S = 0.0\n"


def test_results_of_a_plain_process_are_those_of_ray(
    tiny: tuple[Path, str], tiny_alone: Path
) -> None:
    """All kinds of stages, bit for bit; merged, there was nothing left to run."""
    ours, theirs = Store(tiny_alone / "store"), Store(tiny[0] / "store")
    stages = plan_with_data(load_spec(str(TINY)), None).stages
    assert ours.stage_ids() == theirs.stage_ids() == sorted(stages)
    for stage_id in stages:
        assert ours.read_commit(stage_id).metrics == theirs.read_commit(stage_id).metrics
        left, expected = ours.read_all(stage_id), theirs.read_all(stage_id)
        expected.pop(MACHINE, None)
        if HISTORY in expected:
            assert history(left.pop(HISTORY)) == history(expected.pop(HISTORY))
        assert left == expected


@pytest.fixture
def long_fit(tmp_path: Path) -> tuple[Path, str]:
    """The plan of one fit of 20 epochs and its score; the fit's id."""
    spec = tmp_path / "long.yaml"
    spec.write_text(yaml.safe_dump(LONG))
    plan = planned(spec, tmp_path)
    fit, _ = json.loads(plan.read_text())["stages"]
    return plan, fit


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a file is there, or the process has ended without it."""
    while not path.exists():
        assert process.poll() is None, ended(process)
        time.sleep(0.01)


def test_a_run_that_was_killed_or_stopped_goes_on_where_it_was(
    long_fit: tuple[Path, str], tmp_path: Path
) -> None:
    """By SIGKILL, by SIGTERM and by its minutes; the weights are those of a run left in peace."""
    plan, fit = long_fit
    code, printed = ended(started(plan, tmp_path / "whole"))
    assert code == 0, printed
    broken = tmp_path / "broken"
    checkpoint = broken / "work" / f"{fit}.checkpoint"
    assert ended(started(plan, broken, "--minutes", "0"))[0] == 5
    assert not checkpoint.exists()
    process = started(plan, broken, script=OFTEN + ALONE)
    wait_for(checkpoint, process)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    before = checkpoint.read_bytes()
    process = started(plan, broken)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("begins"):
        pass
    process.send_signal(signal.SIGTERM)
    code, printed = ended(process)
    assert (code, "paused" in printed) == (130, True), printed
    assert checkpoint.read_bytes() != before
    code, printed = ended(started(plan, broken))
    assert code == 0, printed
    whole, resumed = Store(tmp_path / "whole"), Store(broken)
    assert resumed.stage_ids() == whole.stage_ids()
    assert resumed.read(fit, WEIGHTS) == whole.read(fit, WEIGHTS)
    assert resumed.read_commit(fit).epochs_at[0] is None


def test_plans_and_results_of_other_code_are_refused(
    long_fit: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What they lead to would be refused when it comes home."""
    plan, fit = long_fit
    monkeypatch.setattr(Ending, "watch", lambda ending: None)  # this process keeps its signals

    def refused(plan: Path, store: Path) -> tuple[int, str]:
        code = main([str(plan), "--store", str(store)])
        return code, capsys.readouterr().err

    made = Store(tmp_path / "made")
    identity = json.loads(plan.read_text())["stages"][fit]["identity"]
    facts = {"started_at": 1.0, "wall_s": 1.0, "host": "there"}
    made.commit(fit, identity, {WEIGHTS: b""}, {}, **facts, source="0" * 32)
    code, printed = refused(plan, tmp_path / "made")
    assert (code, str(tmp_path / "made" / folder_of(fit)) in printed) == (2, True), printed
    source = json.loads(plan.read_text())["source"]
    plan.write_text(plan.read_text().replace(source, "0" * 32))
    code, printed = refused(plan, tmp_path / "store")
    assert (code, "the files of this code are not those of" in printed) == (2, True)
    code, printed = refused(tmp_path / "none.json", tmp_path / "store")
    assert (code, "there is no plan at" in printed) == (2, True)
