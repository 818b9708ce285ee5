"""The first fit of a sort runs alone on a GPU and is measured, the later ones share it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from osr_core.errors import ConfigError
from osr_core.kinds import FIT, SCORE
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher
from tests.sweeps.running.one_by_one import Notes
from tests.sweeps.running.test_packing import H100, L4, facts

PACKED = Resources(pack="auto")
GPU = {"CPU": 8.0, "GPU": 1.0}
ONE, TYPED = Machines((GPU,)), Machines(({**GPU, "accelerator_type:L4": 1.0},))


def fit(number: int, batch_size: int = 128) -> Stage:
    """One of several of a sort."""
    training = {"epochs": 1, "batch_size": batch_size, "optimizer": "sgd"}
    config = {"method": {"name": "cac"}, "training": training, "number": number}
    return Stage(kind=FIT, config=config)


class Asked:
    """A searcher with machines, asked as Tune asks it."""

    def __init__(
        self,
        stages: list[Stage],
        resources: Resources = PACKED,
        machines: Machines | Callable[[], Machines] = ONE,
    ) -> None:
        self.notes, self.number = Notes(), 0
        look = machines if callable(machines) else lambda: machines
        self.searcher = StageSearcher(stages, resources, self.notes, look, wait_s=60.0)
        self.queued: dict[str, str] = {}  # by stage id, Tune's id

    def all(self) -> list[float]:
        """The parts of a GPU that all ask for which are handed out now."""
        parts = []
        while isinstance(config := self.searcher.suggest(str(self.number)), dict):
            (stage_id,) = config["stage_ids"]
            self.queued[stage_id] = str(self.number)
            self.number += 1
            parts.append(config["takes"]["GPU"])
        return parts

    def ends(
        self, stage: Stage, machine: dict[str, Any] | None, cause: Cause | None = None
    ) -> None:
        """One begins and ends."""
        trial_id = self.queued.pop(stage.id)
        self.searcher.on_trial_start(trial_id)
        outcome = Outcome(stage_id=stage.id, wall_s=1.0, cause=cause, machine=machine)
        self.searcher.on_trial_complete(trial_id, {"outcomes": [asdict(outcome)]})

    def knows(self, stage: Stage, machine: dict[str, Any]) -> None:
        """A stage like this has left that in a marker."""
        self.searcher.asking.know(stage.kind.name, stage.config, machine)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No time passes by itself."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_first_fit_runs_alone_and_the_later_ones_share_its_gpu():
    """Nothing of the sort is queued meanwhile: it would ask for a whole GPU."""
    fits = [fit(number) for number in range(9)]
    asked = Asked(fits)
    assert asked.all() == [1.0]
    asked.ends(fits[0], facts(4_600.0, 0.31))
    assert asked.all() == [0.3333] * 6  # three at once, and three ahead
    assert asked.notes.texts == [
        "cac and its like: 3 share a GPU, since they take 5.1 of 24.0 GB and 31% of the time each, "
        "on NVIDIA L4"
    ]
    asked.ends(fits[1], facts(9_000.0, None, gpus=0.3333))
    assert asked.all() == [0.5, 0.5]
    assert "cac and its like: 2 share a GPU, since they take 9.5 of 24.0 GB" in asked.notes.texts[1]
    assert len(asked.notes.texts) == 2


def test_on_several_gpus_one_runs_on_each_until_one_is_measured():
    """A GPU does not stand idle for a measurement."""
    fits = [fit(number) for number in range(9)]
    asked = Asked(fits, machines=Machines((GPU, {"CPU": 8.0, "GPU": 2.0})))
    assert asked.all() == [1.0] * 3
    asked.ends(fits[1], facts(4_600.0, 0.5))
    assert asked.all() == [0.5] * 6


def test_another_sort_of_fits_is_measured_for_itself():
    """It may take twice the memory."""
    asked = Asked([fit(0), fit(1), fit(2, batch_size=256)])
    asked.knows(fit(0), facts(4_600.0, 0.31))
    assert sorted(asked.all()) == [0.3333, 0.3333, 1.0]


def test_what_sweeps_before_have_measured_counts_from_the_start():
    """On a GPU of the same type; what was measured on a CPU says nothing."""
    for hardware, part in ((L4, 0.3333), (H100, 1.0)):
        asked = Asked([fit(0)], machines=TYPED)
        asked.knows(fit(9), {"device": "cpu", "hardware": "Xeon"})
        asked.knows(fit(9), facts(4_600.0, 0.31, hardware=hardware))
        assert asked.all() == [part]


@pytest.mark.parametrize(
    "resources",
    [
        Resources(),
        Resources(pack="auto", gpus=1),
        Resources(pack="auto", methods={"cac": {"gpus": 1}}),
    ],
    ids=["by default", "for all", "for the method"],
)
def test_where_the_spec_says_how_many_gpus_or_nothing_all_is_as_it_was(resources: Resources):
    """And by default nothing shares a GPU."""
    asked = Asked([fit(number) for number in range(9)], resources)
    asked.knows(fit(0), facts(4_600.0, 0.31))
    assert asked.all() == [1.0] * 4
    assert asked.notes.texts == []


def test_other_stages_and_machines_without_gpus_are_asked_for_as_before():
    """Only fits are measured."""
    score = Stage(kind=SCORE, config={"method": {"name": "cac"}})
    asked = Asked([score, fit(0)], machines=Machines(({"CPU": 8.0},)))
    asked.knows(fit(0), facts(4_600.0, 0.31))
    assert asked.all() == [0.0, 0.0]
    with_gpu = Asked([score])
    with_gpu.knows(score, facts(4_600.0, 0.1))
    assert with_gpu.all() == [0.25]


@pytest.mark.parametrize(
    ("busy", "parts", "causes"),
    [
        (0.1, [0.125, 0.25, 1.0], [Cause.CROWDED, Cause.OUT_OF_MEMORY]),
        (0.2, [0.2, 0.4, 1.0], [Cause.CROWDED, Cause.OUT_OF_MEMORY]),
        (0.31, [0.3333, 0.6666, 1.0], [Cause.CROWDED, Cause.OUT_OF_MEMORY]),
        (0.5, [0.5, 1.0], [Cause.OUT_OF_MEMORY]),
        (0.9, [1.0, 1.0], [Cause.OUT_OF_MEMORY]),
    ],
)
def test_out_of_memory_halves_the_company_first_and_then_it_is_alone(
    clock: list[float], busy: float, parts: list[float], causes: list[Cause]
):
    """It is given up where it had a whole GPU."""
    stage, other = fit(0), fit(1)
    asked = Asked([stage])
    asked.knows(other, facts(1_000.0, busy))
    had = []
    for _ in range(9):
        clock[0] += 60.0
        had += asked.all()
        if not asked.queued:
            break
        asked.ends(stage, None, Cause.OUT_OF_MEMORY)
    assert had == parts
    assert [outcome.cause for outcome in asked.notes.outcomes] == causes
    ((end, _),) = asked.notes.ends
    assert end.cause == Cause.OUT_OF_MEMORY


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


def test_a_sort_that_is_measured_does_not_wait_for_all_of_another():
    """Though both ask for whole GPUs; the one with the longest path comes first."""
    heavy, light = [fit(number, batch_size=512) for number in range(9)], [fit(9), fit(10)]
    mined = [Stage(kind=FIT, config=each.config, inputs={"model": each}) for each in light]
    asked = Asked(heavy)
    asked.knows(heavy[0], facts(20_000.0, 0.9))
    assert asked.all() == [1.0] * 4
    asked.searcher.add([*light, *mined])
    for done in heavy[:2]:
        asked.ends(done, facts(20_000.0, 0.9))
        asked.all()
    assert [each.id in asked.queued for each in light].count(True) == 1


def test_out_of_memory_is_judged_by_what_the_fit_had():
    """It ran on a whole GPU while another was measured: more there is not."""
    first, second = fit(0), fit(1)
    asked = Asked([first, second], machines=Machines((GPU, GPU)))
    assert asked.all() == [1.0, 1.0]
    asked.ends(first, facts(1_000.0, 0.2))
    asked.ends(second, None, Cause.OUT_OF_MEMORY)
    (outcome,) = asked.notes.outcomes
    assert outcome.cause == Cause.OUT_OF_MEMORY
    assert asked.searcher.ask(second).gpus == 1.0


def test_a_stage_that_is_cancelled_in_the_queue_and_taken_back_takes_what_it_took():
    """Tune has its trial still, with what that asks for."""
    first, second = fit(0), fit(1)
    asked = Asked([first, second], machines=Machines((GPU, GPU)))
    assert asked.all() == [1.0, 1.0]
    asked.searcher.cancel_queued({second.id})
    asked.ends(first, facts(1_000.0, 0.2))
    asked.searcher.revive([second.id])
    asked.all()
    assert asked.searcher.asked_for(second).gpus == 1.0


def test_what_is_said_of_packing_is_one_of_two_words():
    """A part of a GPU is what `gpus` is for."""
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}}}
    assert parse_spec({**values, "resources": {"pack": "auto"}}, "x").resources.pack == "auto"
    with pytest.raises(ConfigError, match=r"resources\.pack") as caught:
        parse_spec({**values, "resources": {"pack": 3}}, "x")
    assert "'none' or 'auto'" in str(caught.value)
