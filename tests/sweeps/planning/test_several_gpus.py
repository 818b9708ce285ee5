"""Fits that are given more than one GPU."""

from typing import Any

import pytest

from osr_core.data import benchmark
from osr_core.data.tasks import fingerprints
from osr_core.errors import ConfigError
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec
from sweeps.running.worker import num_processes
from sweeps.running.workplace import Workplace

PRINTS = fingerprints(None, benchmark("digits"))


def planned(methods: dict[str, Any], resources: dict[str, Any]) -> Plan:
    """A split of the digits."""
    about = {"name": "several", "datasets": ["digits"], "splits": [0]}
    return make_plan(parse_spec({**about, "methods": methods, "resources": resources}, "x"), PRINTS)


@pytest.mark.parametrize(
    "resources",
    [{"gpus": 2}, {"methods": {"proser": {"gpus": 2}}}, {"kinds": {"fit": {"gpus": 2}}}],
    ids=["all", "of a method", "of a kind"],
)
def test_a_method_whose_batches_cannot_be_divided_is_refused(resources: dict[str, Any]):
    """Before any work; PROSER mixes images of a batch with each other."""
    said = "a fit of 'proser' 2 GPUs, and it can use one.*methods: {proser: {gpus: 1}}"
    with pytest.raises(ConfigError, match=said):
        planned({"cac": {}, "proser": {}}, resources)


def test_what_is_refused_for_one_method_is_mended_as_the_error_says():
    """The others keep their GPUs; scoring takes a part of one anyway."""
    plan = planned({"cac": {}, "proser": {}}, {"gpus": 2, "methods": {"proser": {"gpus": 1}}})
    told = plan.spec.resources
    fits = [stage for stage in plan.stages.values() if stage.kind.trains]
    given = {stage.config["method"]["name"]: told.gpus_of(stage) for stage in fits}
    assert given == {"cac": 2, "softmax": 2, "proser": 1}


@pytest.mark.parametrize("gpus", [1.5, 2.25])
def test_several_gpus_are_whole_ones(gpus: float):
    """Ray gives parts of one alone."""
    with pytest.raises(ConfigError, match="a part of one, or one and more as a whole"):
        planned({"cac": {}}, {"gpus": gpus})


@pytest.mark.parametrize(("gpus", "processes"), [(0.0, 1), (0.25, 1), (1.0, 1), (4.0, 4)])
def test_a_fit_has_a_process_for_each_gpu(gpus: float, processes: int):
    """What trains nothing has one, whatever it was given."""
    plan = planned({"cac": {}}, {})
    given = Workplace(store="", data_root=None, gpus=gpus)
    count = {
        stage.kind.name: num_processes(stage.identity, given) for stage in plan.stages.values()
    }
    assert count == {"fit": processes, "score": 1}
