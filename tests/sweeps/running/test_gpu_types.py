"""Of the types of GPU that a cluster has, those on which fits that share one may run."""

from typing import Any

import pytest

from sweeps.planning.resources import Resources
from sweeps.running.data_here import needs_of
from sweeps.running.lacking import NODE
from sweeps.running.placement import Machines
from tests.sweeps.running.asked import GPU, TYPED, Asked, fit
from tests.sweeps.running.test_packing import H100, facts

pytestmark = pytest.mark.usefixtures("clock")
BIG = {**GPU, "accelerator_type:H100": 1.0}
BIG_LABEL, SMALL_LABEL = ({"ray.io/accelerator-type": each} for each in ("H100", "L4"))
NOT_L4 = ("ray.io/accelerator-type", "!in(L4)")


def test_a_fit_for_which_no_gpu_has_the_memory_waits_for_one(clock: list[float]):
    """A large machine may come back; others go on, and it is said what is missing."""
    large, small = fit(0, batch_size=512), fit(1)
    machines = [Machines(TYPED.there, labels=(SMALL_LABEL,))]
    asked = Asked([large, small], machines=lambda: machines[0])
    asked.knows(large, facts(60_000.0, 0.9, hardware=H100))
    asked.knows(small, facts(4_600.0, 0.9))
    clock[0] += 2.0
    asked.all()
    assert {NOT_L4} == set(asked.searcher.ask(large).labels)
    assert (asked.searcher.ask(large).gpus, asked.notes.ends) == (1.0, [])
    why, waiting = asked.notes.texts[:2]
    assert "take no GPU of type L4: they hold 60.5 GB of a GPU's memory at least" in why
    assert "asks for 1 CPU and 1 GPU (not of type L4) on one machine, and no machine" in waiting
    clock[0] += 2.0
    asked.all()
    assert asked.notes.texts.count(why) == 1
    machines[0] = Machines((*TYPED.there, BIG), labels=(SMALL_LABEL, BIG_LABEL))
    clock[0] += 2.0
    asked.all()
    asks = "1 CPU and 1 GPU (not of type L4)"
    assert asked.notes.texts[-1] == f"a machine for {asks} is there; going on"


def test_where_it_is_tried_all_the_same_no_gpu_is_too_small():
    """By `gpus: 1`."""
    large = fit(0, batch_size=512)
    forced = Asked([large], Resources(pack="auto", gpus=1), TYPED)
    forced.knows(large, facts(60_000.0, 0.9, hardware=H100))
    forced.knows(fit(1), facts(4_600.0, 0.9))
    assert forced.all() == [1.0]
    assert forced.searcher.ask(large).labels == ()


@pytest.mark.parametrize(
    "resources",
    [
        {"gpu_type": "L4"},
        {"labels": {"ray.io/accelerator-type": "L4"}},
    ],
    ids=["type", "label"],
)
def test_a_type_that_the_spec_names_is_tried_whatever_it_has(
    resources: dict[str, Any], clock: list[float]
):
    """No other machine may take the fit; and nothing is said of a type that it would not take."""
    large, machines = fit(0, batch_size=512), Machines(TYPED.there, labels=(SMALL_LABEL,))
    named = Asked([large], Resources(pack="auto", **resources), machines)
    named.knows(large, facts(60_000.0, 0.9, hardware=H100))
    named.knows(fit(1), facts(4_600.0, 0.9))
    clock[0] += 2.0
    assert named.all() == [1.0]
    assert machines.room_for(named.searcher.ask(large)) == 1
    assert named.notes.texts == []


def test_by_a_label_only_the_types_count_that_have_it():
    """A type that the label leaves out need not be measured."""
    large, both = fit(0), Machines((*TYPED.there, BIG), labels=(SMALL_LABEL, BIG_LABEL))
    labels = {"ray.io/accelerator-type": "L4"}
    named = Asked([large], Resources(pack="auto", labels=labels), both)
    named.knows(large, facts(4_600.0, 0.4))
    assert named.searcher.ask(large).gpus == 0.5


@pytest.mark.parametrize(
    ("said", "other", "its_labels"),
    [
        ({"cpus": 4}, {"CPU": 2.0, "GPU": 1.0}, {}),
        ({"custom": {"fast_disk": 1}}, GPU, {}),
        ({"labels": {"ray.io/market-type": "!spot"}}, GPU, {"ray.io/market-type": "spot"}),
    ],
)
def test_a_type_on_whose_machines_a_fit_has_no_room_need_not_be_measured(
    said: dict[str, Any], other: dict[str, float], its_labels: dict[str, str]
):
    """No fit ever comes there; one that waited for a measurement of it would wait without end."""
    able = {**TYPED.there[0], "fast_disk": 2.0}
    unable = {**other, "accelerator_type:T4": 1.0}
    machines = Machines((able, unable), labels=({}, its_labels))
    asked = Asked([fit(0), fit(1)], Resources.model_validate({"pack": "auto", **said}), machines)
    assert asked.all() == [1.0]
    asked.ends(fit(0), facts(4_600.0, 0.4))
    assert asked.all() == [0.5]


def test_a_type_whose_machines_cannot_get_the_data_need_not_be_measured():
    """As one without room: nothing that reads these data is ever sent there."""
    other = {**GPU, "accelerator_type:T4": 1.0}
    machines = Machines((TYPED.there[0], other), labels=({NODE: "one"}, {NODE: "two"}))
    asked = Asked([fit(0), fit(1)], machines=machines)
    asked.searcher.asking.lacking.nodes[needs_of(fit(0).config)].add("two")
    assert asked.all() == [1.0]
    asked.ends(fit(0), facts(4_600.0, 0.4))
    assert asked.all() == [0.5]
