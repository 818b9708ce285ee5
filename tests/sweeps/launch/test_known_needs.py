"""A launch knows what fits of earlier sweeps took of a GPU, and pays for the part that it takes."""

from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from sweeps.home import Home
from sweeps.launch.conduct import Conduct
from sweeps.launch.estimate import seen_before
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.store.files import StoreError
from sweeps.store.leases import Fence
from sweeps.store.store import Store
from tests.sweeps.running.test_packing import H100, facts

SPEC = {"datasets": ["digits"], "methods": {"softmax": {}}, "training": {"epochs": 2}}
GPU = Machines(({"CPU": 8.0, "GPU": 1.0},))


def planned(name: str, split: int) -> Plan:
    """A sweep of one fit, on one split."""
    spec = {**SPEC, "name": name, "splits": [split], "resources": {"pack": "auto"}}
    return make_plan(parse_spec(spec, name), {"digits/train": "-", "digits/test": "-"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """It has an earlier sweep, whose fit was alone on a GPU and kept it busy for a third of it."""
    made, plan = Store(tmp_path / "store"), planned("earlier", 0)
    made.save_sweep("earlier", plan_record(plan, "abc"))
    (fit,) = (stage for stage in plan.stages.values() if stage.kind.trains)
    times = {"started_at": 0.0, "wall_s": 3.0}
    machine = facts(4_600.0, 0.31) | {"gpu_s": 3.0}
    made.commit(fit.id, fit.identity, {}, {}, **times, host="here", machine=machine)
    return made


def test_fits_share_a_gpu_from_the_start_where_their_like_were_measured(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The budget is spent by the part that was asked for, whatever is found out meanwhile."""
    plan, console = planned("later", 1), Console(quiet=True)
    todo, fence = [*plan.stages.values()], Fence("later", 1)
    launch = Launch(plan, store, Home(tmp_path), None, console, fence, None)
    progress, before = SweepProgress(plan, todo, console), seen_before(plan, todo, store)
    conduct = Conduct(launch, progress, mock.Mock(), before=before)
    searcher = StageSearcher(todo, plan.spec.resources, conduct, lambda: GPU, wait_s=60.0)
    conduct.begin(searcher)
    config = searcher.suggest("1")
    assert isinstance(config, dict)
    assert config["takes"] == {"CPU": 1, "GPU": 0.3333}
    (fit,) = (stage for stage in todo if stage.kind.trains)
    searcher.asking.know(fit.kind.name, fit.config, facts(23_000.0, 0.9))
    spent: list[float] = []
    monkeypatch.setattr(conduct.meter, "began", lambda stage_id, gpus: spent.append(gpus))
    searcher.on_trial_start("1")
    assert (spent, searcher.ask(fit).gpus) == ([0.3333], 1.0)


def test_a_store_that_does_not_answer_has_measured_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """The launch measures anew."""

    def away() -> list[str]:
        raise StoreError("no answer")

    monkeypatch.setattr(store, "sweeps", away)
    plan = planned("later", 1)
    assert seen_before(plan, [*plan.stages.values()], store) == []


@pytest.mark.parametrize("address", [None, "head:6379"])
def test_a_machine_of_ones_own_tries_what_its_gpu_may_not_have_the_memory_for(
    tmp_path: Path, address: str | None
):
    """No other machine will ever come; on a cluster one may."""
    plan, console = planned("later", 1), Console(quiet=True)
    todo, store = [*plan.stages.values()], Store(tmp_path / "store")
    launch = Launch(plan, store, Home(tmp_path), None, console, Fence("later", 1), address)
    conduct = Conduct(launch, SweepProgress(plan, todo, console), mock.Mock())
    typed = Machines(({"CPU": 8.0, "GPU": 1.0, "accelerator_type:L4": 1.0},))
    searcher = StageSearcher(todo, plan.spec.resources, conduct, lambda: typed, wait_s=60.0)
    conduct.begin(searcher)
    (fit,) = (stage for stage in todo if stage.kind.trains)
    searcher.asking.know(fit.kind.name, fit.config, facts(60_000.0, 0.9, hardware=H100))
    another = {**fit.config, "method": {"name": "another"}}
    searcher.asking.know(fit.kind.name, another, facts(4_600.0, 0.9))
    assert bool(searcher.ask(fit).labels) == (address is not None)
