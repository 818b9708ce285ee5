"""Launches that share a cluster: what each hands out and leaves, and what people are told of it.

The searchers and conducts are the real ones; the cluster of eight cores is played.
"""

import io
import json
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from osr_core.errors import ConfigError
from sweeps.clusters.jobs import entrypoint
from sweeps.commands.status import driver_lines
from sweeps.commands.submit import options
from sweeps.home import Home
from sweeps.launch.conduct import Conduct
from sweeps.launch.eta import Eta
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.launch.terms import Terms, terms_of, whoami
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from sweeps.store.files import UnreachableError
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from sweeps.store.witness import Life
from tests.sweeps.command import call_osr

SPEC = {"datasets": ["digits"], "splits": [0, 1, 2, 3, 4], "seeds": [0, 1, 2, 3]}
SLOTS = 8


class Played:
    """A launch of 20 fits on a cluster that others use, too."""

    def __init__(
        self,
        folder: Path,
        name: str,
        terms: Terms | None = None,
        **further: object,
    ) -> None:
        values = {**SPEC, "name": name, "methods": {"softmax": {}}, **further}
        plan = make_plan(parse_spec(values, name), {"digits/train": "-", "digits/test": "-"})
        store, console = Store(folder / "store"), Console(file=io.StringIO())
        self.terms = terms or Terms()
        self.lease = Lease(store.leases, name, take_over=False, says=self.terms.facts())
        self.lease.__enter__()
        fence = Fence(name, self.lease.number)
        self.launch = Launch(plan, store, Home(folder), None, console, fence, "head:6379")
        self.launch.terms, self.launch.tell = self.terms, self.tell
        todo = [*plan.stages.values()]
        self.conduct = Conduct(self.launch, SweepProgress(plan, todo, console), mock.Mock())
        self.conduct.cluster, machines = "head:6379", Machines(({"CPU": float(SLOTS)},))
        resources = plan.spec.resources
        self.searcher = StageSearcher(todo, resources, self.conduct, lambda: machines, 60.0)
        self.count = 0

    def tell(self, work: dict[str, object]) -> None:
        """At once, not with the next heartbeat."""
        self.lease.tell(work)
        self.lease.leases.write(self.lease.sweep, self.lease.number, self.lease.holder)

    def begin(self) -> "Played":
        """Ray is there."""
        self.conduct.progress.__enter__()
        self.conduct.begin(self.searcher)
        return self

    def look(self) -> None:
        """Some seconds later."""
        assert self.conduct.sharing is not None
        self.conduct.sharing._next = 0.0
        self.conduct.look()

    def hand_out(self) -> int:
        """All that may be handed out now; how many stages."""
        before = self.count
        while isinstance(self.searcher.suggest(f"{self.launch.fence.sweep}{self.count}"), dict):
            self.count += 1
        return self.count - before

    def start(self, number: int) -> None:
        """So many of what is queued get a machine."""
        waiting = [each for each in self.searcher.running if each not in self.searcher.begun]
        for trial_id in waiting[:number]:
            self.searcher.on_trial_start(trial_id)

    @property
    def left(self) -> frozenset[str]:
        """Stages that are not to begin."""
        return self.launch.store.orders.read(self.launch.fence).yielded


def test_who_is_alone_queues_twice_what_runs_and_leaves_half_when_another_comes(tmp_path: Path):
    """What is queued beyond its share does not begin, and is handed out again later."""
    hers = Played(tmp_path, "hers").begin()
    assert hers.hand_out() == 2 * SLOTS
    hers.start(SLOTS)
    his = Played(tmp_path, "his").begin()
    hers.look()
    his.look()
    assert his.hand_out() in (SLOTS // 2, SLOTS // 2 + 1)  # one may wait for what is free next
    hers.look()
    assert len(hers.left) == SLOTS  # all that is queued: she has more than her share already
    assert hers.hand_out() == 0
    stage_id = min(hers.left)
    (trial_id,) = (each for each, ids in hers.searcher.running.items() if stage_id in ids)
    outcome = Outcome(stage_id=stage_id, wall_s=0.0, cause=Cause.YIELDED)
    hers.searcher.on_trial_complete(trial_id, {"outcomes": [vars(outcome)]})
    assert stage_id not in hers.left
    assert hers.launch.retried == 0  # nobody's fault
    his.lease.__exit__(None, None, None)
    hers.look()
    assert hers.left == frozenset()
    assert hers.hand_out() == 1


def test_what_fits_on_no_machine_takes_no_part_of_a_share(tmp_path: Path):
    """It is handed out, so that a cluster may grow, and what fits has all of the share."""
    beyond = {"methods": {"cac": {"cpus": SLOTS + 1}}}
    methods = {"softmax": {}, "cac": {}}
    hers = Played(tmp_path, "hers", methods=methods, resources=beyond).begin()
    his = Played(tmp_path, "his").begin()
    hers.look()
    his.look()
    hers.hand_out()
    fitting = [ask for _, ask in hers.searcher.queued() if ask.cpus == 1]
    assert len(fitting) in (SLOTS // 2, SLOTS // 2 + 1)
    assert his.hand_out() in (SLOTS // 2, SLOTS // 2 + 1)
    hers.look()
    assert hers.left == frozenset()


def test_what_fits_on_no_machine_leaves_no_place(tmp_path: Path):
    """It has none; what fits and is queued leaves its own when another sweep comes."""
    beyond = {"methods": {"cac": {"cpus": SLOTS + 1}}}
    methods = {"softmax": {}, "cac": {}}
    hers = Played(tmp_path, "hers", methods=methods, resources=beyond).begin()
    hers.hand_out()
    for trial_id in [each for each, ask in hers.searcher.asked.items() if ask.cpus == 1][:SLOTS]:
        hers.searcher.on_trial_start(trial_id)
    fitting = {id_ for id_, ask in hers.searcher.queued() if ask.cpus == 1}
    assert 0 < len(fitting) < len(hers.searcher.queued())
    his = Played(tmp_path, "his").begin()
    hers.look()
    his.look()
    hers.look()
    assert hers.left == fitting


@pytest.mark.parametrize("lost", ["take_back", "leave"])
def test_an_order_that_the_store_takes_without_an_answer_is_taken_back_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
):
    """Else the stage would be handed out and left again for ever."""
    hers = Played(tmp_path, "hers").begin()
    hers.hand_out()
    hers.start(SLOTS)
    his = Played(tmp_path, "his").begin()
    his.look()
    orders = type(hers.launch.store.orders)
    give = getattr(orders, lost)

    def silent(self: object, fence: Fence, ids: list[str]) -> None:
        if lost == "leave":  # it has arrived
            give(self, fence, ids)
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        if lost == "leave":
            away.setattr(orders, lost, silent)
        for _ in range(2):
            hers.look()
        left = hers.left
        away.setattr(orders, lost, silent)
        for stage_id in left:
            trials = hers.searcher.running.items()
            (trial_id,) = (each for each, ids in trials if stage_id in ids)
            outcome = Outcome(stage_id=stage_id, wall_s=0.0, cause=Cause.YIELDED)
            hers.searcher.on_trial_complete(trial_id, {"outcomes": [vars(outcome)]})
    assert left
    his.lease.__exit__(None, None, None)
    hers.look()
    assert hers.left == frozenset()


def test_a_sweep_of_another_cluster_or_without_work_takes_nothing(tmp_path: Path):
    """Only what is wanted is shared."""
    hers, elsewhere = Played(tmp_path, "hers"), Played(tmp_path, "elsewhere")
    elsewhere.conduct.cluster = "other:6379"
    elsewhere.begin()
    idle = Played(tmp_path, "idle").begin()
    idle.searcher.paused = True
    idle.look()
    hers.begin()
    assert hers.hand_out() == 2 * SLOTS


def test_priority_and_most_slots_are_kept(tmp_path: Path):
    """An urgent sweep that may have two at once leaves the rest to the other."""
    hers = Played(tmp_path, "hers").begin()
    urgent = Played(tmp_path, "urgent", Terms(priority=1, most=2)).begin()
    hers.look()
    urgent.look()
    assert urgent.hand_out() == 2
    assert hers.hand_out() == SLOTS - 2 + 1
    assert Played(tmp_path, "own", Terms(most=3)).begin().hand_out() == 3


def test_queue_says_whose_sweeps_run_and_what_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """At 80 columns too; who has ended is not there."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("OSR_BY", "anna@laptop")
    hers = Played(tmp_path, "hers", Terms(reason="Table 2 of the paper")).begin()
    hers.hand_out()
    hers.start(6)
    monkeypatch.setenv("OSR_BY", "ben@desk")
    his = Played(tmp_path, "his", Terms(priority=2)).begin()
    assert hers.conduct.sharing is not None
    monkeypatch.setattr(hers.conduct.sharing, "eta", lambda: Eta(720.0, 480.0, 900.0))
    hers.look()
    his.look()
    ended = Played(tmp_path, "ended").begin()
    ended.lease.__exit__(None, None, None)
    rows = {
        row["sweep"]: row for row in json.loads(call_osr("queue", "--json", home=tmp_path).stdout)
    }
    assert rows.keys() == {"hers", "his"}
    assert [rows["hers"][key] for key in ("by", "reason", "running", "queued", "left")] == [
        *("anna@laptop", "Table 2 of the paper", 6, 10, 40)
    ]
    assert (rows["his"]["priority"], rows["hers"]["part"]) == (2, 0.75)
    shown = call_osr("queue", home=tmp_path).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "on head:6379" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["hers", "anna@laptop", "0", "running", "6", "10", "40", "75", "%"] in lines
    ends = "hers: ends in 12 min 0 s (8 min 0 s to 15 min 0 s); Table 2 of the paper"
    assert ends in " ".join(shown.split())


def test_a_submitted_sweep_keeps_its_users_name_and_words(monkeypatch: pytest.MonkeyPatch):
    """The head's own user has submitted nothing; a reason holds spaces and quotes."""
    given = options(1, 8, "Anna's Table 2")
    command = entrypoint("spec.yaml", "/data/osr", given)
    assert """--priority=1 --max-slots=8 '--reason=Anna'"'"'s Table 2';""" in command
    assert '"/data/osr";' in entrypoint("spec.yaml", "/data/osr", options())
    assert options(gpu_type="L4") == "--gpu-type=L4"
    assert terms_of(0, None, None, "H100").gpu_type == "H100"
    with pytest.raises(ConfigError, match="takes a name such as L4, A100 or H100, not 'an L4'"):
        terms_of(0, None, None, "an L4")
    monkeypatch.setenv("OSR_BY", "anna@laptop")
    assert whoami() == "anna@laptop"
    monkeypatch.delenv("OSR_BY")
    assert whoami().count("@") == 1


def test_status_tells_the_time_that_is_left(tmp_path: Path):
    """As the driver reckons it; whoever looks from elsewhere cannot."""
    hers = Played(tmp_path, "hers")
    hers.tell({"eta_s": [125.0, 65.0, 190.0]})
    lines = driver_lines(hers.launch.store, Home(tmp_path), {"hers": Life.LIVES})
    assert "sweep 'hers' ends in about 2 min 5 s (1 min 5 s to 3 min 10 s)" in lines
