"""A broken method costs a few stages of a large sweep, not all of them, and nothing of the others.

The searcher and the conduct of a launch are the real ones; a cluster of one slot is played here.
"""

import errno
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from osr_core.stage import Stage
from sweeps.commands.run import CanaryOption
from sweeps.home import Home
from sweeps.launch import caution
from sweeps.launch.conduct import Conduct
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import load_spec, parse_spec
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.running.worker import fault_of
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from tests.sweeps.command import call_osr

SPEC = {"name": "small", "datasets": ["digits"], "splits": [0, 1, 2, 3]}
SPEC |= {"methods": {"softmax": {}, "mls": {}, "cac": {}}}
FAULT = "TypeError in cac.py:41"
End = Callable[[Stage], str | None]  # the fault that ends a stage, if one does


class Played:
    """A launch whose stages end as a test says, one after the other."""

    def __init__(self, folder: Path, end: End, *, careful: bool = False) -> None:
        plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
        self.store, self.text, self.end = Store(folder / "store"), io.StringIO(), end
        console, fence = Console(file=self.text, width=300), Fence("small", 1)
        self.store.leases.create("small", 1, {"released": False})
        home = Home(folder)
        self.launch = Launch(plan, self.store, home, None, console, fence, None, careful=careful)
        todo = [*plan.stages.values()]
        self.progress = SweepProgress(plan, todo, console)
        self.conduct = Conduct(self.launch, self.progress, mock.Mock())
        machines = Machines(({"CPU": 1.0},))
        self.searcher = StageSearcher(
            todo, plan.spec.resources, self.conduct, lambda: machines, wait_s=60.0
        )
        self.ran: list[str] = []  # names of stages, in order

    def run(self) -> "Played":
        """To the end."""
        with self.progress:
            self.conduct.begin(self.searcher)
            self.go_on()
        return self

    def go_on(self) -> None:
        """Until nothing more is handed out."""
        while isinstance(config := self.searcher.suggest(str(len(self.ran))), dict):
            (stage_id,) = config["stage_ids"]
            stage, number = self.launch.plan.stages[stage_id], str(len(self.ran))
            self.ran.append(self.launch.plan.describe(stage))
            self.searcher.on_trial_start(number)
            fault = self.end(stage)
            cause = Cause.REFUSED if fault else None
            ended = Outcome(stage_id=stage_id, wall_s=1.0, cause=cause, reason=fault, fault=fault)
            self.searcher.on_trial_complete(number, {"outcomes": [asdict(ended)]})
        assert self.searcher.problem is None


def cac_is_broken(stage: Stage) -> str | None:
    """Its fit raises."""
    is_cac = stage.config["method"]["name"] == "cac"
    return FAULT if is_cac and stage.kind.trains else None


def test_a_fault_that_ends_two_stages_of_a_method_stops_it_and_no_other(tmp_path: Path):
    """Of four fits two are begun; the other methods' trials are all done."""
    played = Played(tmp_path, cac_is_broken).run()
    begun = [name for name in played.ran if "cac" in name]
    assert begun == ["fit cac digits/0 seed 0", "fit cac digits/1 seed 0"]
    assert len(played.ran) == 2 + 4 + 4 + 4  # fits of softmax, its scores, those of MLS
    told = f"no more of cac begins: {FAULT} has ended 2 of its stages (`osr retry small --method"
    assert told in played.text.getvalue()
    reasons = {trial.label: why for trial, why in played.launch.missing}
    assert "failed: TypeError in cac.py:41" in reasons["cac digits/0 seed 0"]
    assert "fit cac digits/3 seed 0 was not begun: TypeError" in reasons["cac digits/3 seed 0"]


def test_a_retry_lets_a_method_that_was_stopped_go_on(tmp_path: Path):
    """All of it: what has failed, what has not begun, and what needs them."""
    repaired: list[bool] = []
    played = Played(tmp_path, lambda stage: None if repaired else cac_is_broken(stage))
    played.store.save_sweep("small", record_of(played))
    with mock.patch.object(StageSearcher, "FINISHED", None), played.progress:
        played.conduct.begin(played.searcher)
        played.go_on()
        held = played.store.orders.read(Fence("small", 1)).held
        assert held == {"cac"}
        repaired.append(True)
        with mock.patch("sweeps.commands.steer.driver", return_value=Fence("small", 1)):
            told = call_osr("retry", "small", "--method", "cac", home=tmp_path).stdout
        assert "2 stages of sweep small will be tried again" in told
        assert "stages of cac begin again" in told
        played.conduct.look()
        played.go_on()
    assert sum("cac" in name for name in played.ran) == 2 + 4 + 4
    assert played.launch.not_begun == {}


def test_a_retry_that_cannot_be_ticked_off_is_heeded_later_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Left standing, it would bring the stage back again after its next failure."""
    fails = [True]
    played = Played(tmp_path, lambda stage: FAULT if fails and fails.pop() else None)
    with mock.patch.object(StageSearcher, "FINISHED", None), played.progress:
        played.conduct.begin(played.searcher)
        played.go_on()
        (failed,) = played.conduct.given_up
        played.store.orders.retry(Fence("small", 1), [failed])
        with monkeypatch.context() as away:
            error = OSError(errno.ETIMEDOUT, "the store is away")
            away.setattr(played.store._files, "_delete", mock.Mock(side_effect=error))
            played.conduct.look()
        assert played.searcher.frontier.exhausted
        played.conduct.look()
        assert not played.searcher.frontier.exhausted
        assert played.store.orders.read(Fence("small", 1)).retried == frozenset()


def record_of(played: Played) -> dict[str, object]:
    """As the launch has written it."""
    from sweeps.planning.record import plan_record

    return plan_record(played.launch.plan, "abc")


def test_two_faults_are_not_one_and_what_a_stage_says_itself_is_none(tmp_path: Path):
    """A setting of a grid whose loss is lost says nothing against the others."""
    numbers = iter(range(100))
    two = Played(tmp_path / "two", lambda stage: cac_is_broken(stage) and f"E{next(numbers)}")
    assert sum("fit cac" in name for name in two.run().ran) == 4
    with pytest.raises(OSError, match="disk") as full:
        raise OSError("disk")
    assert fault_of(full.value) is None
    with pytest.raises(TypeError) as raised:
        len(5)  # type: ignore[arg-type]
    assert str(fault_of(raised.value)).startswith("TypeError in test_caution.py:")


@pytest.mark.parametrize("large", [5, 1000])
def test_of_a_large_sweep_one_trial_of_each_method_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
):
    """The rest of a method follows as soon as that is done; of a small one all fits go first."""
    monkeypatch.setattr(caution, "LARGE", large)
    played = Played(tmp_path, lambda stage: None, careful=True).run()
    assert len(played.ran) == 4 + 4 + 3 * 4
    for method in ("softmax", "mls", "cac"):
        done = played.ran.index(f"score {method} digits/0 seed 0")
        others = [f"score {method} digits/{split} seed 0" for split in (1, 2, 3)]
        assert all(played.ran.index(other) > done for other in others)
    fits = [played.ran.index(f"fit cac digits/{split} seed 0") for split in (1, 2, 3)]
    assert (min(fits) > played.ran.index("score cac digits/0 seed 0")) == (large == 5)
    assert played.launch.missing[0][1] == "not run"  # nothing was committed, and nothing is blamed


def test_the_fault_of_a_canary_stops_its_method_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One trial is spent instead of two; one that fails otherwise stops nothing."""
    monkeypatch.setattr(caution, "LARGE", 5)
    broken = Played(tmp_path / "broken", cac_is_broken, careful=True).run()
    assert sum("cac" in name for name in broken.ran) == 1
    assert len(broken.ran) == 1 + 4 + 4 + 4
    assert "has ended the trial that went first" in broken.text.getvalue()


def test_a_method_with_a_result_needs_no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second launch of a large sweep begins with all of it."""
    monkeypatch.setattr(caution, "LARGE", 5)
    plan = make_plan(parse_spec(SPEC, "small"), {"digits/train": "-", "digits/test": "-"})
    done = {up.id for trial in plan.trials[:3] for up in trial.score.walk()}
    todo = [stage for stage in plan.stages.values() if stage.id not in done]
    assert caution.Canaries(plan, todo).waiting == set()
    assert len(caution.Canaries(plan, plan.stages.values()).waiting) == 3 * 5


def test_status_says_which_method_is_stopped(tmp_path: Path):
    """With what goes on from there."""
    played = Played(tmp_path, cac_is_broken).run()
    played.store.save_sweep("small", record_of(played))
    with Lease(played.store.leases, "small", take_over=True):
        pass
    assert "begins no more" not in call_osr("status", "small", home=tmp_path).stdout
    played.store.orders.hold(Fence("small", 2), "cac", "why")
    assert "sweep 'small' begins no more of cac: why" in call_osr("status", home=tmp_path).stdout


def test_a_plan_says_what_goes_first(tmp_path: Path):
    """Before anything is spent."""
    told = call_osr("plan", "cac_table2", "--json", home=tmp_path).stdout
    assert json.loads(told)["first"] == sorted(load_spec("cac_table2").methods)
    assert "one of each method goes first" in call_osr("plan", "cac_table2", home=tmp_path).stdout
    assert "goes first" not in call_osr("plan", "digits", home=tmp_path).stdout


def test_the_help_says_what_a_large_sweep_is():
    """By the number that decides it."""
    (option,) = CanaryOption.__metadata__
    assert option.help.startswith(f"If {caution.LARGE} trials or more are left")
