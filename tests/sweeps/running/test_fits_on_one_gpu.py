"""The first fit of a sort runs alone on a GPU and is measured, the later ones share it."""

import pytest

from osr_core.errors import ConfigError
from osr_core.kinds import FIT, SCORE
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.planning.spec import parse_spec
from sweeps.running.outcome import Cause
from sweeps.running.placement import Machines
from tests.sweeps.running.asked import GPU, TYPED, Asked, fit
from tests.sweeps.running.test_packing import H100, L4, facts

pytestmark = pytest.mark.usefixtures("clock")


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
