"""Stages of a plan in a plain process: what they leave, and how they stop and go on."""

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from blobs import TRAINING, Runs, shortened, trial

from osr_core.batch.__main__ import main
from osr_core.batch.ending import Ending
from osr_core.batch.folder import FolderError, ResultFolder
from osr_core.batch.plan import FORMAT, StagePlan, source_digest
from osr_core.batch.run import Run
from osr_core.context import HISTORY, WEIGHTS
from osr_core.errors import ConfigError, VersionError
from osr_core.graphs import VARIABLE
from osr_core.methods import METHODS
from osr_core.results.commit import Commit
from osr_core.results.layout import checkpoint_of, folder_of, marker_of
from osr_core.stage import Stage
from sweeps.running.machine import MACHINE
from sweeps.running.worker import work
from sweeps.running.workplace import Workplace
from sweeps.store.store import Store
from tests.plain import history

SHORT = shortened(TRAINING, epochs=2)


def planned(stages: Iterable[Stage]) -> StagePlan:
    """A plan of stages, all of which are to run."""
    by_id = {stage.id: stage for stage in stages}
    return StagePlan(
        code="abc",
        source="",
        to_run=list(by_id),
        identities={stage_id: stage.identity for stage_id, stage in by_id.items()},
        cpus=dict.fromkeys(by_id, 1),
        labels={stage_id: stage.kind.name for stage_id, stage in by_id.items()},
    )


def gone_through(plan: StagePlan, folder: Path, ending: Ending, *kinds: str) -> Run:
    """A run of a plan, at its end."""
    results = ResultFolder(folder)
    run = Run(plan, results, None, ending)
    run.go(plan.wanted(kinds, results.done(plan.identities)))
    assert run.failed == {}
    return run


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of plain processes and of Ray's workers; methods share their classifiers there."""
    return tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("workers")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("name", METHODS)
def test_a_plain_process_leaves_what_a_worker_of_ray_leaves(
    name: str, folders: tuple[Path, Path]
) -> None:
    """Bit for bit, numbers and files, in a store that all commands read."""
    stages = list(trial(name, SHORT).score.walk())
    plan = planned(stages)
    gone_through(plan, folders[0], Ending())
    for stage in stages:
        at = Workplace(store=str(folders[1]), data_root=None, code="abc")
        assert work(stage.id, plan.identities, at).cause is None
    plain, workers = Store(folders[0]), Store(folders[1])
    for stage in stages:
        ours, theirs = (store.read_commit(stage.id) for store in (plain, workers))
        assert (ours.stage, ours.metrics) == (theirs.stage, theirs.metrics)
        assert (ours.source, ours.code) == (theirs.source, theirs.code)
        left, expected = plain.read_all(stage.id), workers.read_all(stage.id)
        expected.pop(MACHINE, None)
        if HISTORY in expected:
            assert history(left.pop(HISTORY)) == history(expected.pop(HISTORY))
        assert left == expected


class AfterAsking(Ending):
    """Comes when it was asked so many times: before a stage begins, and after each epoch."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def within(self, seconds: float) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("name", ["cac", "arpl_cs"])
def test_a_run_that_is_out_of_time_goes_on_from_what_is_saved(
    name: str, runs: Runs, tmp_path: Path
) -> None:
    """No epoch is lost, and no bit is another; no stage begins that nobody would wait for."""
    fit = runs.last_fit(trial(name, shortened(TRAINING, epochs=4)))
    plan, folder = planned([fit]), ResultFolder(tmp_path)
    for times, is_saved in ((0, False), (2, True), (2, True)):  # none, two and two epochs
        stopped = gone_through(plan, tmp_path, AfterAsking(times))
        assert (stopped.is_out_of_time, stopped.made) == (True, [])
        assert (tmp_path / checkpoint_of(fit.id)).exists() == is_saved
    assert gone_through(plan, tmp_path, Ending()).made == [fit.id]
    assert not (tmp_path / checkpoint_of(fit.id)).exists()
    assert folder.tensors(fit.id)[WEIGHTS] == runs.result(fit).artifacts[WEIGHTS]
    assert Store(tmp_path).read_commit(fit.id).epochs_at[:2] == [None, None]


@pytest.mark.usefixtures("runs")
def test_kinds_are_run_apart(tmp_path: Path) -> None:
    """Fits on a machine with a GPU, the rest elsewhere; a score whose fit is missing waits."""
    stages = list(trial("softmax", SHORT).score.walk())
    plan = planned(stages)
    fit, score = (stage.id for stage in stages)
    assert gone_through(plan, tmp_path, Ending(), "score").made == []
    assert gone_through(plan, tmp_path, Ending(), "fit").made == [fit]
    assert gone_through(plan, tmp_path, Ending(), "score").made == [score]
    with pytest.raises(ConfigError, match="'fits' does not exist"):
        plan.wanted(["fits"], set())


def test_a_switch_that_says_neither_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each fit would fail of it."""
    monkeypatch.setenv(VARIABLE, "on")
    assert main([str(tmp_path / "plan.json"), "--store", str(tmp_path / "store")]) == 2
    assert capsys.readouterr().err.startswith("error: OSR_GRAPHS is 'on'; write 1")
    assert not (tmp_path / "store").exists()


def test_what_the_home_has_is_made_only_where_something_needs_it(runs: Runs) -> None:
    """Its classifier is not here, and a score of it is asked for."""
    fit, score = trial("softmax", SHORT).score.walk()
    other = runs.last_fit(trial("cac", SHORT))
    plan = planned([fit, score, other])
    plan = StagePlan(**{**vars(plan), "to_run": [score.id]})
    assert plan.wanted([], set()) == [fit.id, score.id]
    assert plan.wanted([], {fit.id}) == [score.id]


@pytest.mark.usefixtures("runs")
def test_another_process_has_a_stage_to_itself(tmp_path: Path) -> None:
    """Several runs on one folder share the work; who finds a stage held leaves it."""
    stages = list(trial("softmax", SHORT).score.walk())
    with ResultFolder(tmp_path).held(stages[0].id) as is_ours:
        assert is_ours
        assert gone_through(planned(stages), tmp_path, Ending()).made == []
    assert gone_through(planned(stages), tmp_path, Ending()).made == [each.id for each in stages]


@pytest.mark.usefixtures("runs")
def test_a_damaged_input_is_named(tmp_path: Path) -> None:
    """One flipped bit of a classifier would be scored as if it were another."""
    stages = list(trial("softmax", SHORT).score.walk())
    gone_through(planned(stages), tmp_path, Ending(), "fit")
    (weights,) = tmp_path.glob("stages/*/*/weights-*")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(FolderError, match=f"{weights} is damaged"):
        gone_through(planned(stages), tmp_path, Ending(), "score")


def given_another_source(folder: Path, stage: Stage) -> None:
    """Its marker says that files made it that are not here."""
    marker = folder / marker_of(stage.id)
    commit = Commit.decode(marker.read_bytes())
    marker.write_bytes(replace(commit, source="0" * 32).encode())


@pytest.mark.usefixtures("runs")
def test_no_score_is_made_from_a_fit_of_other_code(tmp_path: Path) -> None:
    """A run of other code, still at work on the folder, may have left it after this one began."""
    fit, score = trial("softmax", SHORT).score.walk()
    plan, folder = planned([fit, score]), ResultFolder(tmp_path)
    gone_through(plan, tmp_path, Ending(), "fit")
    given_another_source(tmp_path, fit)
    run = Run(plan, folder, None, Ending())
    run.go([score.id])
    assert (run.made, list(run.failed)) == ([], [score.id])
    assert str(tmp_path / folder_of(fit.id)) in run.failed[score.id]


@pytest.mark.usefixtures("runs")
def test_what_rests_on_a_result_of_other_code_is_refused_with_it(tmp_path: Path) -> None:
    """Were the fit alone deleted and made anew, the old one's score would stay."""
    fit, score = trial("softmax", SHORT).score.walk()
    plan, folder = planned([fit, score]), ResultFolder(tmp_path)
    gone_through(plan, tmp_path, Ending())
    folder.check_source(plan.identities)
    given_another_source(tmp_path, fit)
    with pytest.raises(VersionError) as refused:
        folder.check_source(plan.identities)
    for stage in (fit, score):
        assert str(tmp_path / folder_of(stage.id)) in str(refused.value)


def test_a_fit_does_not_go_on_from_a_state_of_other_code(runs: Runs, tmp_path: Path) -> None:
    """Half of its epochs would be another method's."""
    fit = runs.last_fit(trial("softmax", SHORT))
    plan, folder = planned([fit]), ResultFolder(tmp_path)
    gone_through(plan, tmp_path, AfterAsking(2))
    state = folder.state(fit.id)
    assert state is not None
    folder.save_state(fit.id, state._replace(source="0" * 32))
    run = Run(plan, folder, None, Ending())
    run.go([fit.id])
    assert (run.made, list(run.failed)) == ([], [fit.id])
    assert str(tmp_path / checkpoint_of(fit.id)) in run.failed[fit.id]


def written(plan: StagePlan, path: Path) -> Path:
    """A plan as far as a batch run reads it."""
    identities = plan.identities
    stages = {each: {"identity": identities[each], "cpus": plan.cpus[each]} for each in identities}
    labels = [{"stage_id": each, "label": label} for each, label in plan.labels.items()]
    told = {"format": FORMAT, "code": plan.code, "source": source_digest(identities.values())}
    told |= {"to_run": plan.to_run, "stages": stages, "record": {"stages": labels}}
    path.write_text(json.dumps(told))
    return path


def test_a_broken_gpu_ends_a_run_with_a_sentence_and_exit_code_3(
    runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a broken disk does; a batch system's script tells it from a stage that failed."""

    def breaks(*kind_and_config: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    fit = runs.last_fit(trial("softmax", SHORT))
    plan = written(planned([fit]), tmp_path / "plan.json")
    monkeypatch.setattr("osr_core.batch.run.run_stage", breaks)
    monkeypatch.setattr(Ending, "watch", lambda ending: None)
    monkeypatch.setattr(sys, "argv", ["batch", str(plan), "--store", str(tmp_path / "store")])
    assert main() == 3
    assert capsys.readouterr().err == "error: CUDA error: unspecified launch failure\n"


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    """Its layout may be another."""
    (tmp_path / "FORMAT").write_text("osr-sweeps store 1")
    with pytest.raises(FolderError, match="has the format 'osr-sweeps store 1'"):
        ResultFolder(tmp_path)
