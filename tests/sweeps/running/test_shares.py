"""Several sweeps on one cluster: what each may have of it, and what it gets over a run."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from sweeps.running.placement import Ask, Machines, Room
from sweeps.running.shares import Demand, allotted, beyond, demand_of, share_of

CORE, GPU = Ask(1, 0.0), Ask(1, 1.0)
FOUR = {"CPU": 4.0, "GPU": 0.0}


def dealt(there: dict[str, float], **demands: Demand) -> list[int]:
    """How many stages each may have at once, in the order in which they are given."""
    return list(allotted(demands, there).values())


def test_equal_sweeps_share_evenly_and_one_stage_waits_for_what_comes():
    """Of the one that was served least, so that a cluster that grows by demand sees it."""
    a, b = Demand(CORE, 9, served_s=50.0), Demand(CORE, 9, served_s=40.0)
    assert dealt(FOUR, a=a, b=b) == [2, 3]
    assert dealt(FOUR, a=a) == [5]


def test_what_one_does_not_want_goes_to_the_others():
    """Nothing is left idle; who wants less than its share gets all it wants."""
    assert dealt(FOUR, a=Demand(CORE, 1), b=Demand(CORE, 9), c=Demand(CORE, 0)) == [1, 4, 0]
    assert dealt(FOUR, a=Demand(CORE, 1), b=Demand(CORE, 2)) == [1, 2]


def test_the_last_slot_goes_to_whom_was_served_least():
    """Of three on four slots one has two; with nothing to go by, the first name."""
    many = [Demand(CORE, 9, served_s=served) for served in (7.0, 5.0, 6.0)]
    there = {**FOUR, "CPU": 4.0}
    assert dealt(there, a=many[0], b=many[1], c=many[2]) == [1, 3, 1]  # b's third one waits
    assert dealt(there, **{name: Demand(CORE, 2) for name in "abc"}) == [2, 2, 1]


def test_a_higher_priority_comes_first_whatever_was_served():
    """The others get what it leaves."""
    urgent = Demand(CORE, 3, priority=1, served_s=1e6)
    assert dealt(FOUR, a=Demand(CORE, 9), b=urgent) == [2, 3]
    assert dealt(FOUR, a=Demand(CORE, 9), b=urgent._replace(wants=9)) == [0, 5]


def test_shares_are_equal_in_the_resource_that_a_sweep_has_most_of():
    """The example of Ghodsi et al.: 9 and 18 of two resources, asked for by 1, 4 and by 3, 1."""
    there = {"CPU": 9.0, "GPU": 18.0}
    assert dealt(there, a=Demand(Ask(1, 4.0), 3), b=Demand(Ask(3, 1.0), 2)) == [3, 2]
    greedy = dealt(there, a=Demand(Ask(1, 4.0), 99), b=Demand(Ask(3, 1.0), 99))
    assert greedy == [4, 2]  # one stage waits


def test_who_needs_no_gpu_is_not_held_up_by_those_who_share_them():
    """Four GPUs are full; sixteen cores are not."""
    there = {"CPU": 16.0, "GPU": 4.0}
    assert dealt(there, a=Demand(GPU, 9), b=Demand(CORE, 9)) == [5, 9]
    assert dealt(there, a=Demand(GPU, 9), b=Demand(GPU, 9)) == [3, 2]
    assert dealt({"CPU": 8.0, "GPU": 0.0}, a=Demand(GPU, 9)) == [
        0
    ]  # nothing fits, it is waited for


def test_demand_is_counted_in_stages_of_the_largest_kind():
    """Two fits and four scores of a quarter of a GPU are three fits."""
    there = {"CPU": 64.0, "GPU": 8.0}
    assert demand_of(Counter({GPU: 2, Ask(1, 0.25): 4}), there) == Demand(GPU, 3)
    assert demand_of(Counter(), there) is None
    assert demand_of(Counter({GPU: 2}), {"CPU": 1.0}) == Demand(GPU, 2)


def test_room_ends_at_the_share_and_at_the_most_that_a_user_wants():
    """A light stage may still have room where a fit has none."""
    room = Room(Machines(({"CPU": 8.0, "GPU": 2.0},)), 60.0, print, share=0.625)
    assert room.has(GPU)
    room.handed_out[GPU] += 1
    assert (room.has(GPU), room.has(Ask(1, 0.25))) == (False, True)
    room.share, room.most = None, 1
    assert not room.has(GPU)


def test_what_is_queued_beyond_the_share_is_named_from_the_end():
    """Six are handed out where four slots are, of which the share is half; two run."""
    queued = [(name, CORE) for name in ("first", "second", "third", "fourth")]
    assert beyond(0.5, 1.5, queued, FOUR) == {"first", "second", "third", "fourth"}
    assert beyond(1.0, 1.5, queued, FOUR) == {"third", "fourth"}
    assert beyond(None, 1.5, queued, FOUR) == set()


@dataclass
class Played:
    """A sweep whose driver sees what others said two seconds ago."""

    left: int  # stages that are not handed out
    comes_at: int = 0
    priority: int = 0
    queued: int = 0
    ends: list[float] = field(default_factory=list)  # of what runs
    served: float = 0.0
    had: list[int] = field(default_factory=list)  # slots, second by second

    @property
    def demand(self) -> Demand:
        """What it says."""
        wants = self.left + self.queued + len(self.ends)
        return Demand(CORE, wants, self.priority, self.served)


def play(slots: int, sweeps: dict[str, Played], seconds: int, mean_s: float) -> None:
    """Let drivers hand out by the rule on a cluster with a clock of its own.

    A stage that ends is followed by its own sweep's next one, if that is queued or may be; else its
    slot goes to whoever has waited longest.
    """
    draw, there = random.Random(7), {"CPU": float(slots), "GPU": 0.0}
    line: list[str] = []  # of queued stages, whose they are
    said: list[dict[str, Demand]] = []

    def begin(name: str, now: int) -> None:
        line.remove(name)
        sweeps[name].queued -= 1
        sweeps[name].ends.append(now + draw.lognormvariate(0.0, 0.5) * mean_s)

    for now in range(seconds):
        here = {name: each for name, each in sweeps.items() if now >= each.comes_at}
        heard = said[-2] if len(said) > 1 else {}
        for name, each in here.items():
            ended = [end for end in each.ends if end <= now]
            each.ends = [end for end in each.ends if end > now]
            others = {other: demand for other, demand in heard.items() if other != name}
            if others and not each.served:
                each.served = min(demand.served_s for demand in others.values())
            share = share_of(name, each.demand, others, there)
            has = each.queued + len(each.ends)
            more = min(max(0, share - has), each.left)
            each.left -= more
            each.queued += more
            line += [name] * more
            for _ in range(max(0, has - share)):  # what is queued beyond the share is given back
                if each.queued:
                    line.reverse()
                    line.remove(name)
                    line.reverse()
                    each.queued, each.left = each.queued - 1, each.left + 1
            for _ in range(min(len(ended), each.queued)):
                begin(name, now)
        while line and sum(len(each.ends) for each in here.values()) < slots:
            begin(line[0], now)
        for each in here.values():
            each.served += len(each.ends) / slots
            each.had.append(len(each.ends))
        said.append({name: each.demand for name, each in here.items()})


@pytest.mark.parametrize(("slots", "mean_s"), [(1, 20.0), (4, 20.0), (7, 60.0)])
def test_over_a_run_each_sweep_gets_its_part_and_no_slot_is_idle(slots: int, mean_s: float):
    """Three sweeps of which the last comes late: within 10 % of a half each, then of a third."""
    late, end = 2_000, 6_000
    sweeps = {"a": Played(10_000), "b": Played(10_000), "c": Played(10_000, comes_at=late)}
    play(slots, sweeps, end, mean_s)
    for name, since, until, fair in (
        *((name, 0, late, slots / 2) for name in "ab"),
        *((name, late, end, slots / 3) for name in "abc"),
    ):
        begin = since - sweeps[name].comes_at
        had = sweeps[name].had[begin : begin + until - since]
        assert sum(had) / len(had) == pytest.approx(fair, rel=0.1), (name, since)
    used = [sum(each) for each in zip(sweeps["a"].had, sweeps["b"].had, strict=True)]
    assert sum(used[:late]) / late > 0.97 * slots


def test_a_sweep_that_has_had_the_cluster_to_itself_is_not_made_to_wait_for_it():
    """Who comes later has saved nothing up: on one slot both have their turns."""
    sweeps = {"a": Played(10_000), "b": Played(10_000, comes_at=5_000)}
    play(1, sweeps, 6_000, mean_s=10.0)
    assert sum(sweeps["a"].had[5_000:]) == pytest.approx(500, rel=0.2)


def test_an_urgent_sweep_has_all_that_it_wants_as_soon_as_stages_end():
    """What runs is not interrupted for it."""
    sweeps = {"a": Played(10_000), "b": Played(10_000, comes_at=1_000, priority=1)}
    play(4, sweeps, 2_000, mean_s=20.0)
    assert sum(sweeps["b"].had[100:]) / 900 > 3.9
