"""A plan says who shares which fits, not only how many fits that saves."""

import json
from pathlib import Path
from typing import Any

import pytest

from osr_core.data import READERS
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.shared_fits import shared_fits
from sweeps.planning.spec import load_spec
from tests.sweeps.command import call_osr

DATA = {f"{name}/{subset}": "-" for name in READERS for subset in ("train", "test")}
ROWS_OF_OSRCI = ("softmax", "openmax", "g_openmax", "osrci")


def plan_of(name: str) -> Plan:
    """A packaged spec's plan, for data that need not be there."""
    return make_plan(load_spec(name), DATA)


def on(dataset: str, *methods: str, times: int = 5) -> dict[str, int]:
    """These methods' trials on a dataset, one use each for every split."""
    return {f"{method} on {dataset}": times for method in methods}


def row(fit: str, saved: int, used_by: dict[str, int]) -> dict[str, Any]:
    """Of a fit on each of five splits."""
    return {"fit": fit, "fits": 5, "saved": saved, "used_by": used_by}


@pytest.mark.parametrize("dataset", ["mnist", "svhn", "tinyimagenet"])
def test_rows_of_osrci_share_a_classifier_and_a_gan(dataset: str) -> None:
    """Four rows of CAC's Table 2 stand on one softmax fit a split, two of them on one GAN."""
    rows = shared_fits(plan_of("cac_table2"))
    assert [each for each in rows if each["fit"].endswith(f" on {dataset}")] == [
        row(f"softmax on {dataset}", 15, on(dataset, *ROWS_OF_OSRCI)),
        row(f"gan on {dataset}", 5, on(dataset, "g_openmax", "osrci")),
    ]


def test_datasets_with_the_same_known_images_share_fits() -> None:
    """CIFAR+10 and CIFAR+50 differ in unknown images alone, which no fit sees."""
    rows = shared_fits(plan_of("cac_table2"))
    both = lambda *methods: on("cifar+10", *methods) | on("cifar+50", *methods)  # noqa: E731
    assert row("softmax on cifar10", 35, both(*ROWS_OF_OSRCI)) in rows
    assert row("gan on cifar10", 15, both("g_openmax", "osrci")) in rows
    assert row("cac on cifar10", 5, both("cac")) in rows
    assert row("softmax on cifar10", 5, both("c2ae")) in rows


def test_c2ae_starts_from_the_fit_of_softmax() -> None:
    """Where both have one recipe, as have the scores that only read the same network."""
    first, *_ = shared_fits(plan_of("digits_all"))
    assert first["fit"] == "softmax on digits"
    assert first["used_by"].items() >= on("digits", "softmax", "mls", "c2ae", times=2).items()


@pytest.mark.parametrize("name", ["cac_table2", "digits_all", "pmal_table1", "pmal_table5"])
def test_what_each_fit_saves_adds_up(name: str) -> None:
    """To the number that a plan counts; every use but the first of a fit is saved."""
    plan = plan_of(name)
    rows = shared_fits(plan)
    assert sum(each["saved"] for each in rows) == plan.counts()["fits_saved"] > 0
    assert all(each["saved"] == sum(each["used_by"].values()) - each["fits"] for each in rows)


def test_a_method_shares_fits_among_its_own_settings() -> None:
    """All 19 rows of PMAL's Table 5 on five splits take the classifiers that they need of 25."""
    (only,) = shared_fits(plan_of("pmal_table5"))
    assert (only["fits"], only["used_by"]) == (25, {"pmal on tinyimagenet": 235})


def test_osr_plan_tells_it(tmp_path: Path) -> None:
    """As JSON always, in words beside the stages; no row of the table is missing."""
    told = json.loads(call_osr("plan", "cac_table2", "--json", home=tmp_path).stdout)
    assert told["shared_fits"] == shared_fits(plan_of("cac_table2"))
    assert told["missing"] == []
    listed = call_osr("plan", "digits", "--stages", home=tmp_path).stdout
    assert "softmax on digits, mls on digits" in " ".join(listed.split())
