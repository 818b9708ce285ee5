"""A plan that grows while its store does not answer goes on as if nothing had been."""

import errno
import io
import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.console import Console

from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch import conduct
from sweeps.launch.conduct import Conduct
from sweeps.launch.growing import Growing
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_of
from sweeps.planning.spec import parse_spec
from sweeps.running import searcher
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.search.searches import Searches
from sweeps.store.files import UnreachableError
from sweeps.store.leases import Fence
from sweeps.store.store import Store

SEARCH = {"space": {"anchor_weight": {"low": 0.01, "high": 1.0, "log": True}}, "candidates": 4}
SEARCH |= {"lag": 2, "sampler": "random"}
SPEC = {"name": "growing", "datasets": ["digits"], "splits": [0, 1]}
RULES = ("held_out_classes_auroc", "held_out_classes_oscr")  # which share their trials
ENTRIES = [{}, *({"search": {**SEARCH, "select": rule}} for rule in RULES)]
SPEC |= {"methods": {"softmax": {}, "cac": ENTRIES}}
NUMBERS = [f"{part}/{name}" for part in ("validation", "test") for name in ("auroc", "oscr")]
ASKS = ("_read", "_write", "_create", "_sizes", "_below", "_delete")
FEW = 3  # requests in a row that are not answered


class Played:
    """A launch that searches; its stages end one after the other, and `lost` fits fail."""

    def __init__(self, folder: Path, lost: Callable[[Stage], bool] = lambda stage: False) -> None:
        self.store, self.lost = Store(folder / "store"), lost
        self.asked, self.away = 0, range(0)  # requests of the launch; which are not answered
        plan = plan_with_data(parse_spec(SPEC, "growing"), None)
        searches = Searches(plan, self.store)
        console, fence = Console(file=io.StringIO(), width=300), Fence("growing", 1)
        self.store.leases.create("growing", 1, {"released": False})
        plan, home = searches(plan, None), Home(folder)
        self.launch = Launch(plan, self.store, home, None, console, fence, None, careful=False)
        todo = [*plan.stages.values()]
        self.progress = SweepProgress(plan, todo, console)
        self.conduct = Conduct(self.launch, self.progress, mock.Mock(), growth=searches)
        machines = Machines(({"CPU": 1.0},))
        self.searcher = StageSearcher(
            todo, plan.spec.resources, self.conduct, lambda: machines, wait_s=60.0
        )
        self.ran: list[str] = []  # ids of stages, in order

    def run(self, away: range = range(0)) -> Plan:
        """To the end; `away` are the numbers of the launch's requests that are not answered."""
        self.away = away
        with self.progress, pytest.MonkeyPatch.context() as patch:
            patch.setattr(searcher, "LOOK_EVERY_S", 0.0)  # as if a second passed each time
            self._call(lambda: self.conduct.begin(self.searcher))
            for number in count():
                config = self._call(lambda number=number: self.searcher.suggest(str(number)))
                if config == StageSearcher.FINISHED:
                    return self.launch.plan
                if config is not None:
                    self._end(str(number), config["stage_ids"][0])
        raise AssertionError

    def _end(self, number: str, stage_id: str) -> None:
        stage = self.launch.plan.stages[stage_id]
        self.ran.append(stage_id)
        self.searcher.on_trial_start(number)
        ended = Outcome(stage_id=stage_id, wall_s=1.0)
        if self.lost(stage):
            ended = Outcome(stage_id=stage_id, wall_s=1.0, cause=Cause.REFUSED, reason="lost")
        else:
            numbers = dict.fromkeys(
                [*NUMBERS, "validation/accuracy"], int(stage_id[:4], 16) / 2**16
            )
            made = {"started_at": 0.0, "wall_s": 1.0, "host": "h"}
            self.store.commit(stage_id, stage.identity, {}, numbers, **made)  # type: ignore[arg-type]
        told = {"outcomes": [asdict(ended)]}
        self._call(lambda: self.searcher.on_trial_complete(number, told))

    def _call(self, step: Callable[[], Any]) -> Any:
        """Let the launch do something, with a store that answers or does not."""
        files = self.store._files
        with pytest.MonkeyPatch.context() as patch:
            for name in ASKS:
                patch.setattr(files, name, self._answered(getattr(files, name)))
            return step()

    def _answered(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any) -> Any:
            self.asked += 1
            if self.asked in self.away:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            return ask(*arguments)

        return asked


def fails(stage: Stage) -> bool:
    """One of four fits that are only for a search."""
    is_for_search = stage.kind.trains and "held_out" in stage.config["task"]
    return is_for_search and int(stage.id[:4], 16) % 4 == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, int]:
    """The plan at the end of a launch whose store always answers, and how often it was asked."""
    played = Played(tmp_path_factory.mktemp("undisturbed"), fails)
    plan = played.run()
    states = {each["state"] for search in plan.searches for each in search["candidates"]}
    assert states == {"complete", "failed"}
    return plan, played.asked


@pytest.mark.parametrize("share", [each / 12 for each in range(12)])
def test_whenever_the_store_is_silent_the_plan_goes_on(
    tmp_path: Path, undisturbed: tuple[Plan, int], share: float
):
    """The same candidates are asked, judged and chosen, and each stage is run once."""
    expected, asked = undisturbed
    played = Played(tmp_path, fails)
    first = 1 + int(share * asked)
    plan = played.run(range(first, first + FEW))
    assert played.searcher.problem is None
    assert plan.trial_of.keys() == expected.trial_of.keys()
    assert plan.searches == expected.searches
    assert not plan.unchosen
    assert sorted(played.ran) == sorted(set(played.ran))
    assert plan_of(played.store.sweep("growing") or {}).stages.keys() == plan.stages.keys()
    left = set(plan.owed) - played.store.committed(plan.owed)
    assert not left


def test_a_store_that_stays_silent_ends_the_launch_when_nothing_else_is_left(
    tmp_path: Path, undisturbed: tuple[Plan, int], monkeypatch: pytest.MonkeyPatch
):
    """In the store's own words; all that could run has run."""
    monkeypatch.setattr(conduct, "PATIENCE_S", 0.05)
    played = Played(tmp_path)
    planned = set(played.launch.plan.stages)
    played.run(range(1, 10**9))
    assert set(played.ran) == planned
    assert isinstance(played.searcher.problem, UnreachableError)
    assert played.searcher.problem.exit_code == 3
    assert "nothing that is committed is lost" in str(played.searcher.problem)


@pytest.mark.parametrize("stopped", ["failed", "cancelled"])
def test_a_trial_that_comes_after_its_fit_has_ended_badly(tmp_path: Path, stopped: str):
    """After a failure it has failed, too; after a withdrawal it may yet be, and nothing is said."""
    heard: list[Outcome | None] = []

    def more(plan: Plan, outcome: Outcome | None) -> Plan:
        heard.append(outcome)
        later = plan_with_data(parse_spec({**SPEC, "methods": {"mls": {}}}, "growing"), None)
        return plan.extended(later.trials)

    played = Played(tmp_path, lambda stage: stopped == "failed" and stage.id == shared.id)
    played.conduct.growing = Growing(played.launch, more)
    plan = played.launch.plan
    shared = next(s for s in plan.stages.values() if s.config["method"]["name"] == "softmax")
    if stopped == "cancelled":
        played.store.orders.cancel("growing", [shared.id])
    played.run()
    ends = {each.stage_id: each for each in heard if each is not None}
    (late,) = [
        trial.id
        for trial in played.launch.plan.trials
        if trial.method == "mls" and shared in trial.score.inputs.values()
    ]
    assert (late in ends) == (stopped == "failed")
    if stopped == "failed":
        assert (ends[late].cause, ends[late].reason) == (Cause.REFUSED, "lost")
    back = played.searcher.revive([shared.id])
    assert late in back, "it comes back with its fit"
