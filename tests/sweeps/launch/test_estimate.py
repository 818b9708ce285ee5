"""What a sweep will cost is what similar stages took, or unknown."""

import json
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from osr_core.stage import Stage
from sweeps.commands.plan import tell_estimate
from sweeps.launch.estimate import CPU, estimate, price_of, prices
from sweeps.launch.outlook import Outlook
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec
from sweeps.store.store import Store
from tests.sweeps.command import call_osr

L4 = {"device": "cuda", "hardware": "NVIDIA L4", "versions": {}}
SPEC = {"name": "before", "datasets": ["digits"], "splits": [0, 1]}


def planned(epochs: int, **changes: object) -> Plan:
    """A sweep of two splits, with fits of so many epochs."""
    spec = {**SPEC, "methods": {"softmax": {}}, "training": {"epochs": epochs}, **changes}
    return make_plan(parse_spec(spec, "x"), {"digits/train": "-", "digits/test": "-"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two fits of 10 epochs took 100 and 140 s of an L4, their scores 3 s each on a CPU.

    The second fit was cut off after four epochs: its last attempt made six of them in 84 s.
    """
    made, plan = Store(tmp_path / "store"), planned(10)
    made.save_sweep("before", plan_record(plan, "abc"))
    fits = [stage for stage in plan.stages.values() if stage.kind.trains]
    commit(made, fits[0], 100.0, [1.0 + 10 * epoch for epoch in range(10)])
    commit(made, fits[1], 84.0, [-40.0, -30.0, -20.0, -10.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    for stage in plan.stages.values():
        if not stage.kind.trains:
            made.commit(stage.id, stage.identity, {}, {}, started_at=0.0, wall_s=3.0, host="here")
    return made


def commit(store: Store, fit: Stage, wall_s: float, epochs_at: list[float]) -> None:
    """Half of a GPU's time is taken where two share one; here it is all."""
    made_on = {**L4, "gpu_s": wall_s}
    store.commit(
        fit.id,
        fit.identity,
        {},
        {},
        started_at=0.0,
        wall_s=wall_s,
        host="here",
        machine=made_on,
        epochs_at=epochs_at,
    )


def test_hours_grow_with_epochs_and_lie_between_the_quickest_and_the_slowest(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Two fits of 30 epochs at 10 to 14 s each: 600 to 840 s."""
    monkeypatch.setenv("OSR_PRICES", "L4=3600")
    plan = planned(30)
    told = estimate(plan, [*plan.stages.values()], store)
    gpu, cpu = told.shares
    assert gpu[:2] == ("NVIDIA L4", 2)
    assert gpu[2:] == pytest.approx((720 / 3600, 600 / 3600, 840 / 3600, 720.0))
    assert (cpu[:2], cpu.cost) == ((CPU, 2), None)
    assert cpu[2:5] == pytest.approx((6 / 3600,) * 3)
    assert told.unknown == {}


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        (
            {"backbone": {"width": 0.125}},
            {"fit softmax on digits": 2, "score softmax on digits": 2},
        ),
        ({"methods": {"cac": {}}}, {"fit cac on digits": 2, "score cac on digits": 2}),
        ({"datasets": ["mnist"]}, {"fit softmax on mnist": 2, "score softmax on mnist": 2}),
    ],
    ids=["network", "method", "data"],
)
def test_what_is_like_nothing_is_unknown(
    store: Store, changes: dict[str, object], unknown: dict[str, int]
):
    """A guess would be taken for a figure."""
    spec = {**SPEC, "methods": {"softmax": {}}, "training": {"epochs": 10}, **changes}
    data = {f"{name}/{part}": "-" for name in ("digits", "mnist") for part in ("train", "test")}
    plan = make_plan(parse_spec(spec, "x"), data)
    told = estimate(plan, [*plan.stages.values()], store)
    assert (told.unknown, told.shares) == (unknown, [])
    assert estimate(plan, [*plan.stages.values()], None).unknown == unknown


def test_prices_are_by_the_longest_name_that_fits():
    """An L40S is no L4."""
    known = prices(" L4=0.8, L40S = 1.9,H100=3.5 ")
    assert [price_of(name, known) for name in ("NVIDIA L4", "NVIDIA L40S", "AMD MI300X")] == [
        0.8,
        1.9,
        None,
    ]
    assert price_of("NVIDIA L40S", {"L4": 0.8}) is None
    assert prices("") == {}
    for wrong in ("L4", "L4=cheap", "=3", "L4=-1", "L4=nan", "L4=inf"):
        with pytest.raises(ConfigError, match="OSR_PRICES must be names of hardware"):
            prices(wrong)


def test_a_plan_tells_its_estimate_in_times(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A column of 0.003333 hours is not read; programs get hours as numbers."""
    plan = planned(30)
    todo = [*plan.stages.values()]
    tell_estimate(Outlook(plan, set(), todo, estimate=estimate(plan, todo, store)))
    told = capsys.readouterr().out
    assert "NVIDIA L4   2        12 min 0 s   10 min 0 s   14 min 0 s   -" in told
    assert "CPU         2        6 s          6 s          6 s          -" in told


def test_a_plan_says_what_is_known_and_what_is_not(tmp_path: Path):
    """Before anything was run, nothing is."""
    told = call_osr("plan", "digits", home=tmp_path).stdout
    assert "time not known: 10 x fit softmax on digits, 5 x score" in told
    facts = json.loads(call_osr("plan", "digits", "--json", home=tmp_path).stdout)
    assert facts["estimate"]["shares"] == []
