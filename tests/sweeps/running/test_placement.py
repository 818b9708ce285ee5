"""What stages ask of machines, and what is handed out for the machines that are there."""

import pytest

from osr_core.errors import ConfigError
from osr_core.methods import METHODS
from osr_core.stage import Stage
from sweeps.planning.resources import Resources
from sweeps.planning.spec import parse_spec
from sweeps.running.placement import (
    FEWEST,
    Ask,
    Machines,
    Room,
    ask_of,
    at_least,
    lacks_gpu,
    meets,
)

CPUS, GPU = {"CPU": 8.0}, {"CPU": 8.0, "GPU": 1.0}


def stage(kind: str, method: str = "cac", number: int = 0) -> Stage:
    """A stage of a kind, one of several."""
    config = {"method": {"name": method}, "training": {"epochs": 1}, "number": number}
    return Stage(kind=METHODS.kinds()[kind], config=config)


def test_a_fit_takes_a_gpu_as_soon_as_there_is_one_and_scoring_a_part_of_it():
    """Scoring uses a GPU for seconds; a whole one each would leave it idle."""
    for machines, fit, light in (
        (Machines((CPUS,)), 0.0, 0.0),
        (Machines((CPUS, GPU)), 1.0, 0.25),
    ):
        assert ask_of(stage("fit"), Resources(), machines) == Ask(1, fit)
        for kind in ("score", "calibrate", "pmal.mine"):
            assert ask_of(stage(kind), Resources(), machines) == Ask(1, light)


def test_resources_can_be_given_for_a_kind_and_for_a_methods_fits():
    """The more special one counts; what it leaves out is as for all."""
    given = {"cpus": 2, "gpus": 0.5, "kinds": {"score": {"gpus": 0.1}, "fit": {"cpus": 4}}}
    resources = Resources(**given, methods={"pmal": {"gpus": 2}})
    machines = Machines((GPU,))
    assert ask_of(stage("fit"), resources, machines) == Ask(4, 0.5)
    assert ask_of(stage("fit", "pmal"), resources, machines) == Ask(2, 2.0)
    assert ask_of(stage("score", "pmal"), resources, machines) == Ask(2, 0.1)
    assert ask_of(stage("pmal.mine", "pmal"), resources, machines) == Ask(2, 0.25)
    assert ask_of(stage("score"), Resources(gpus=0), machines) == Ask(1, 0.0)


def test_a_kind_or_method_that_is_not_there_is_refused_with_the_nearest():
    """As everywhere in a spec."""
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}}}
    resources = {"kinds": {"scoring": {"gpus": 1}}, "methods": {"cak": {"gpus": 1}}}
    with pytest.raises(ConfigError) as caught:
        parse_spec({**values, "resources": resources}, "x")
    assert "kind of stage 'scoring' does not exist. Did you mean 'score'?" in str(caught.value)
    assert "method 'cak' does not exist. Did you mean 'cac'?" in str(caught.value)


def test_a_stage_alone_gets_a_whole_gpu():
    """A quarter of a GPU becomes a whole one; two stay two; without GPUs there is none to give."""
    assert at_least(1.0, Ask(2, 0.25)) == Ask(2, 1.0)
    assert at_least(1.0, Ask(2, 2.0)) == Ask(2, 2.0)
    assert at_least(1.0, Ask(2, 0.0)) == Ask(2, 0.0)


def test_a_type_of_gpu_is_asked_for_by_what_takes_one():
    """Of which there must be one then; what takes none goes anywhere."""
    resources = Resources(gpu_type="L4", kinds={"score": {"gpus": 0}})
    ask = ask_of(stage("fit"), resources, Machines((CPUS,)))
    assert str(ask) == "1 CPU and 1 GPU (type L4)"
    assert ask.takes == {"CPU": 1, "GPU": 1.0, "accelerator_type:L4": 0.001}
    assert ask_of(stage("score"), resources, Machines((CPUS,))) == Ask(1, 0.0)
    typed = [{**GPU, f"accelerator_type:{name}": 1.0} for name in ("L4", "H100")]
    machines = Machines((*typed, GPU))
    assert (machines.room_for(ask), Machines((GPU, typed[1])).room_for(ask)) == (1, 0)
    assert str(machines).startswith("8 CPUs, 1 GPUs of type L4; 8 CPUs, 1 GPUs of type H100; 8 CPU")
    other = resources.on("H100")
    assert str(ask_of(stage("fit"), other, machines)) == "1 CPU and 1 GPU (type H100)"


def test_resources_and_labels_of_ones_own_are_asked_for_by_kind():
    """A licence for one, a machine that stays for another; the rest as for all."""
    resources = Resources(
        custom={"licence": 0.5},
        labels={"ray.io/market-type": "!spot"},
        kinds={"score": {"custom": {}, "labels": {"zone": "in(a, b)"}}},
        methods={"pmal": {"gpu_type": "H100"}},
    )
    plain, spot, here = {}, {"ray.io/market-type": "spot"}, {"zone": "b"}
    machines = Machines(
        (CPUS, {**CPUS, "licence": 1.0}, {**CPUS, "licence": 1.0}), labels=(here, spot, plain)
    )
    fit = ask_of(stage("fit"), resources, machines)
    assert machines.room_for(fit) == 2  # of the last machine's licence
    assert str(fit) == "1 CPU (licence 0.5, label ray.io/market-type: !spot)"
    score = ask_of(stage("score"), resources, machines)
    assert machines.room_for(score) == 8
    assert ask_of(stage("fit", "pmal"), resources, machines).takes["accelerator_type:H100"] == 0.001
    assert "8 CPUs, 0 GPUs, licence 1, label ray.io/market-type: spot" in str(machines)


@pytest.mark.parametrize(
    ("selector", "met"),
    [("a", {"a"}), ("!a", {"b", None}), ("in(a,b)", {"a", "b"}), ("!in(a, b)", {None})],
)
def test_labels_are_chosen_as_ray_chooses_them(selector: str, met: set[str | None]):
    """A label that a machine does not have differs from every value."""
    assert {value for value in ("a", "b", None) if meets(value, selector)} == met


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"custom": {"GPU": 1}}, "'GPU' is no resource of one's own; write cpus, gpus or gpu_type"),
        ({"custom": {"licence": 0}}, "resources.custom.licence: Input should be greater than 0"),
        ({"labels": {"zone": "in(a"}}, "'in(a' is not VALUE, !VALUE, in(A,B) or !in(A,B)"),
        ({"gpu_type": "an L4"}, "resources.gpu_type"),
        ({"kinds": {"fit": {"gpu_typ": "L4"}}}, "gpu_typ"),
    ],
)
def test_what_no_machine_can_have_is_said_of_the_spec(resources: dict[str, object], words: str):
    """Before anything waits for it."""
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}}}
    with pytest.raises(ConfigError) as caught:
        parse_spec({**values, "resources": resources}, "x")
    assert words in str(caught.value)


def test_room_is_counted_machine_by_machine():
    """Two halves of a GPU on two machines are no GPU."""
    machines = Machines((GPU, GPU, {"CPU": 4.0, "GPU": 2.0}, CPUS))
    assert machines.room_for(Ask(1, 1.0)) == 4
    assert machines.room_for(Ask(8, 1.0)) == 2
    assert machines.room_for(Ask(1, 0.25)) == 16 - 4  # the third has four cores only
    assert machines.room_for(Ask(4, 0.0)) == 2 + 2 + 1 + 2
    assert str(Machines((GPU, GPU))) == "2 x 8 CPUs, 1 GPUs"
    assert str(Machines(())) == "no machine yet"


def test_a_part_of_a_gpu_is_of_one_gpu():
    """What two cards have left together has room for nothing."""
    four = Machines(({"CPU": 64.0, "GPU": 4.0},))
    parts = {0.6: 4, 0.6666: 4, 0.4: 8, 0.3333: 12, 0.1: 40, 0.125: 32, 1.0: 4, 2.0: 2, 3.0: 1}
    assert {part: four.room_for(Ask(1, part)) for part in parts} == parts


def test_what_is_handed_out_follows_the_cluster():
    """Twice what runs at once, and a few where there is no machine yet, so that one is started."""
    room = Room(Machines(()), 60.0, lambda text: None)
    ask = Ask(1, 1.0)
    room.handed_out[ask] = FEWEST - 1
    assert room.has(ask)
    room.handed_out[ask] = FEWEST
    assert not room.has(ask)
    room.look(Machines((GPU,) * 4), {}, 0.0)
    assert room.has(ask)
    room.handed_out[ask] = 8
    assert not room.has(ask)


def test_what_fits_nowhere_takes_no_place_of_what_fits():
    """Neither of the slots that a user wants nor of a share of a cluster."""
    large, small = Ask(1, 2.0), Ask(1, 1.0)
    room = Room(Machines((GPU,)), 60.0, lambda text: None, most=1)
    room.look(room.machines, {large: "fit pmal", small: "fit cac"}, 0.0)
    assert (room.has(large), room.has(small)) == (False, True)
    room.look(room.machines, {large: "fit pmal"}, 1.0)
    assert room.has(large)  # nothing else waits: a cluster that grows may see it
    room.handed_out[large] += 1
    assert (room.has(large), room.has(small)) == (False, True)
    room.handed_out[small] += 1
    assert not room.has(small)
    room.most, room.share = None, 1.0
    assert room.held == 1.0
    room.handed_out[small] -= 1
    assert (room.held, room.has(small)) == (0.0, True)


def test_fits_that_ran_on_a_gpu_wait_for_one_when_the_last_is_lost():
    """They would spend days on the CPU otherwise, with a GPU back in minutes."""
    room = Room(Machines((CPUS, GPU)), 60.0, lambda text: None)
    room.look(Machines((CPUS,), lost=1), {}, 1.0)
    room.look(Machines((CPUS,), lost=1), {}, 2.0)
    assert ask_of(stage("fit"), Resources(), room.machines) == Ask(1, 1.0)


def test_what_no_machine_has_is_said_once_and_waited_for():
    """With what is asked and what is there; and that it goes on, or that the wait is over."""
    said: list[str] = []
    room = Room(Machines((CPUS,)), 60.0, said.append)
    asked = {Ask(1, 1.0): "fit cac digits/0"}
    assert room.look(Machines((CPUS,)), asked, 0.0) is None
    assert room.look(Machines((CPUS,)), asked, 30.0) is None
    assert said == [
        "waiting: fit cac digits/0 asks for 1 CPU and 1 GPU on one machine, and no machine has "
        "that (8 CPUs, 0 GPUs)"
    ]
    assert room.look(Machines((CPUS, GPU)), asked, 59.0) is None
    assert said[1] == "a machine for 1 CPU and 1 GPU is there; going on"
    assert room.look(Machines((CPUS,)), asked, 100.0) is None  # lost again: a new wait
    assert room.look(Machines((CPUS,)), asked, 159.0) is None
    assert "none came in 1 min" in str(room.look(Machines((CPUS,)), asked, 161.0))


def test_what_lacks_a_gpu_is_what_the_spec_gives_no_other_word_of():
    """A fit without `resources.gpus`; not one that is to run without."""
    there = Machines((CPUS,))
    assert lacks_gpu(stage("fit"), Resources(), there)
    assert lacks_gpu(stage("score"), Resources(), there)
    assert not lacks_gpu(stage("fit"), Resources(gpus=0), there)
    assert not lacks_gpu(stage("score"), Resources(kinds={"score": {"gpus": 0}}), there)
    assert not lacks_gpu(stage("fit"), Resources(), Machines((GPU,)))
