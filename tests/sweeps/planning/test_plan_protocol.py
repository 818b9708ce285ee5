"""Which splits a method's trials have: the sweep's protocol, unless its entry names another."""

from typing import Any

import pytest

from osr_core.data import READERS
from osr_core.errors import ConfigError
from sweeps.launch.outlook import remarks_on
from sweeps.planning.known_data import KnownData
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_of, plan_record
from sweeps.planning.spec import load_spec, parse_spec

DATA = {f"{name}/{subset}": "-" for name in READERS for subset in ("train", "test")}
APRIL_2020 = "cac@original_2020"
TWO: dict[str, Any] = {"softmax": {}, "cac": {"protocol": APRIL_2020}}


def planned(methods: dict[str, Any], **changes: Any) -> Plan:
    """On the first split of MNIST."""
    values = {"name": "small", "datasets": ["mnist"], "splits": [0], "methods": methods, **changes}
    return make_plan(parse_spec(values, "sweep.yaml"), DATA)


def test_a_method_may_have_splits_of_its_own() -> None:
    """A paper's table may hold rows that were made on different lists of classes."""
    softmax, cac = planned(TWO).trials
    assert (softmax.split.protocol, softmax.split.known) == ("cac", (0, 1, 2, 4, 5, 9))
    assert (cac.split.protocol, cac.split.known) == (APRIL_2020, (0, 1, 2, 3, 6, 9))
    assert cac.hyperparameters["protocol"] == APRIL_2020
    assert "protocol" not in softmax.hyperparameters


def test_protocols_of_one_method_are_a_grid() -> None:
    """How much the choice of classes matters is a question of its own."""
    trials = planned({"mls": {"protocol": ["cac", "arpl"]}}).trials
    assert [trial.split.protocol for trial in trials] == ["cac", "arpl"]


def test_a_record_gives_the_plan_again() -> None:
    """A later launch and `osr sync` have the record alone."""
    plan = planned(TWO)
    again = plan_of(plan_record(plan, "1a2b3c4"))
    assert again.trials == plan.trials
    assert again.spec.plain() == plan.spec.plain()


@pytest.mark.parametrize(
    ("methods", "changes", "said"),
    [
        ({"cac": {"protocol": "cca"}}, {}, "protocol 'cca' does not exist. Did you mean 'cac'"),
        ({"cac": {"protocol": "arpl"}}, {"splits": [0, 7]}, "protocol arpl has 0 to 4 of mnist"),
        ({"cac": {"protocol": 3}}, {}, "cac: protocol must be a name, not 3."),
    ],
)
def test_a_protocol_that_cannot_be_is_named(
    methods: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    """Before any work, as for the sweep's own."""
    with pytest.raises(ConfigError, match=said):
        planned(methods, protocol="random", **changes)


@pytest.mark.parametrize("name", ["cac_table2", "cac_table3", "cac_fig2", "cac_fig3"])
def test_cacs_own_rows_have_the_splits_of_april_2020(name: str) -> None:
    """Its numbers were made on them (cac-openset issue 8). The cross-entropy row of Table 3 was
    made with CAC's; the rows of Table 2 besides it are OSRCI's, on OSRCI's lists.
    """
    copied = {"cac"} if name == "cac_table2" else {APRIL_2020}
    for trial in make_plan(load_spec(name), DATA).trials:
        assert trial.split.protocol in ({APRIL_2020} if trial.method == "cac" else copied)


def test_peculiarities_of_every_protocol_are_pointed_to() -> None:
    """Also of those that a method's entry names, by which its row is made."""
    entries = [{"protocol": "osrci"}, {"protocol": "arpl", "search": {"space": {"alpha": [5, 10]}}}]
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "methods": {"cac": entries}}
    said = remarks_on(parse_spec(values, "x"), KnownData(None))
    asked = [text.partition("`")[2] for text in said]
    assert asked == [f"osr splits digits --protocol {p}`" for p in ("cac", "osrci", "arpl")]
