"""Trials of which something was made elsewhere, as a plan has them."""

from typing import Any

import pytest

from osr_core.errors import ConfigError
from osr_core.imported import WEIGHTS, Imported
from sweeps.planning.data import plan_with_data
from sweeps.planning.imports import added_to, entries_of, with_weights
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.spec import parse_spec

METHODS: dict[str, Any] = {"mls": {}, "cac": {}}
VALUES = {"name": "theirs", "datasets": ["digits"], "splits": [0], "methods": METHODS}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two methods on one split of the digits."""
    return plan_with_data(parse_spec(VALUES, "theirs"), None)


def imported(plan: Plan, method: str = "mls", **told: Any) -> PlannedTrial:
    """A method's trial whose network is that of a file."""
    split = plan.trials[0].split
    (entry,) = entries_of(plan.spec, split, [method])
    file = Imported(what=WEIGHTS, file="theirs.pth", sha256="3f9a", **told)
    return with_weights(entry, split, 0, plan.fingerprints, file)


@pytest.mark.parametrize(("method", "told"), [("mls", ""), ("cac", "stored")])
def test_anchors_are_told_of_methods_that_have_some(method: str, told: str, plan: Plan) -> None:
    """One command brings a file in for several methods, and tables say how each read it."""
    trial = imported(plan, method, anchors="stored")
    assert trial.imported is not None
    assert trial.imported.anchors == told


@pytest.mark.parametrize("told", [{"source": "a page"}, {"licence": "MIT"}, {"label": "epoch 90"}])
def test_what_is_said_of_an_import_is_what_was_said_last(told: dict[str, str], plan: Plan) -> None:
    """None of it is in the id, so the trial that was there first kept its slip."""
    before = added_to(plan, [imported(plan, source="a pagee", licence="MTI", label="epoch 9")])
    corrected = imported(plan, **told)
    after = added_to(before, [corrected])
    assert after.trials == (*plan.trials, corrected)
    assert after.trials[-1].title.startswith("MLS (imported")


def test_a_corrected_label_is_not_that_of_another_import(plan: Plan) -> None:
    """Two networks in one row would be averaged."""
    first = imported(plan, label="epoch 9")
    plan = added_to(plan, [first, imported(plan, label="epoch 90", names={"fc.": "head."})])
    with pytest.raises(ConfigError, match=r"has 'MLS \(imported, epoch 90\)' on digits/0"):
        added_to(plan, [imported(plan, label="epoch 90")])
