"""Which trials share a row, and how it is called."""

import json
from dataclasses import replace

import pytest
from handmade import BY_ORACLE, plan_of, planned_trial

from analysis.exports.labels import recipe_label, row_labels
from analysis.exports.schema import Plan
from sweeps.planning.data import placeholders
from sweeps.planning.plan import make_plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import parse_spec


def test_row_is_named_by_what_differs():
    """The setting that all trials of a method share would only make the table wider."""
    trials = [planned_trial("CAC", alpha=alpha, anchor_weight=0.1) for alpha in (5.0, 10.0)]
    trials += [planned_trial("MLS", label_smoothing=0.0)]
    assert list(row_labels(trials).values()) == ["CAC (alpha=5)", "CAC (alpha=10)", "MLS"]


def test_setting_that_follows_the_dataset_makes_no_rows():
    """A published recipe smooths labels on one dataset only; the method is one row in both."""
    trials = [
        planned_trial("MLS", dataset="svhn", label_smoothing=0.0),
        planned_trial("MLS", dataset="tinyimagenet", label_smoothing=0.9),
    ]
    assert set(row_labels(trials).values()) == {"MLS"}


def test_override_that_some_trials_lack_is_named_where_it_is():
    """A sweep may set `training.epochs` for one entry of a method only; text needs no quotes."""
    trials = [
        planned_trial("PMAL", mode="median"),
        planned_trial("PMAL", mode="literal", **{"training.epochs": 5}),
    ]
    assert list(row_labels(trials).values()) == [
        "PMAL (mode=median)",
        "PMAL (mode=literal, training.epochs=5)",
    ]


def test_numbers_that_look_alike_stay_apart():
    """Rounding a setting in its label would average two rows into one."""
    trials = [planned_trial("CAC", alpha=alpha) for alpha in (0.12345678, 0.12345679)]
    assert len(set(row_labels(trials).values())) == 2


def test_label_has_four_digits_where_these_suffice():
    """A sampler draws numbers with sixteen; whole numbers and settings of a spec keep theirs."""
    alphas = (15.635081932291683, 0.00123456, 123456.0, 0.5)
    labels = row_labels(planned_trial("CAC", alpha=alpha) for alpha in alphas).values()
    assert list(labels) == [
        f"CAC (alpha={text})" for text in ("15.64", "0.001235", "123456", "0.5")
    ]


def test_only_rows_that_would_look_alike_show_every_digit():
    """One pair among a thousand candidates does not widen all other rows."""
    alphas = (15.635081932291683, 15.641, 3.14159)
    labels = row_labels(planned_trial("CAC", alpha=alpha) for alpha in alphas).values()
    assert list(labels) == [
        "CAC (alpha=15.635081932291683)",
        "CAC (alpha=15.641)",
        "CAC (alpha=3.142)",
    ]


def test_row_that_an_oracle_chose_says_so():
    """Also where it is the method's only one, and wherever a label goes."""
    labels = row_labels([planned_trial("CAC", alpha=1.5, selection=BY_ORACLE)])
    assert list(labels.values()) == ["CAC (ORACLE)"]


def test_a_protocol_that_is_not_the_sweeps_is_always_named():
    """Also where all trials of the method have it: the other rows are on other classes."""
    trials = [planned_trial("CAC", alpha=10.0, protocol="cac@original_2020")]
    trials += [planned_trial("MLS"), planned_trial("MLS", protocol="arpl")]
    assert list(row_labels(trials).values()) == [
        "CAC (protocol=cac@original_2020)",
        "MLS",
        "MLS (protocol=arpl)",
    ]


def test_what_one_method_changes_of_the_recipe_is_said_beside_what_all_change():
    """Its row alone would pass for the recipe's; what its trials differ in stands in their rows."""
    own = {"backbone.width": 0.25, "training.lr": 0.1}
    trials = [planned_trial("CAC", split=split, **own) for split in (0, 1)]
    trials += [planned_trial("PMAL", **{"training.epochs": epochs}) for epochs in (5, 10)]
    trials += [planned_trial("MLS", alpha=1.0)]
    of_cac = "of CAC: backbone.width=0.25, training.lr=0.1"
    assert recipe_label(plan_of(trials)) == f"common, changed ({of_cac})"
    changed = plan_of(trials, **{"training.batch_size": 32})
    assert recipe_label(changed) == f"common, changed (training.batch_size=32; {of_cac})"
    assert recipe_label(plan_of(trials[2:])) == "common"


@pytest.mark.parametrize(
    ("cac", "said"),
    [
        ({}, "published"),
        ({"alpha": 10, "anchor_weight": 0.1}, "published"),  # as the paper has them
        ({"alpha": 5}, "published, changed (of CAC: alpha=5)"),
        (
            {"anchor": False, "training": {"epochs": 2}},
            "published, changed (of CAC: anchor=false, ",
        ),
        (
            {"alpha": [5, 10], "anchor_weight": 0.4},
            "published, changed (of CAC: anchor_weight=0.4)",
        ),
    ],
)
def test_a_setting_that_is_not_the_methods_own_is_said(cac, said):
    """In its row it is not, where all of the method's trials have it."""
    values = {"name": "x", "datasets": ["digits"], "splits": [0], "recipe": "published"}
    spec = parse_spec({**values, "methods": {"softmax": {}, "cac": cac}}, "x")
    record = plan_record(make_plan(spec, placeholders(["digits"])), "abc")
    plan = Plan.from_record(json.loads(json.dumps(record)))
    assert recipe_label(plan).startswith(said)
    assert (recipe_label(plan) == "published") == (said == "published")
    assert recipe_label(replace(plan, defaults={})).startswith("published")  # of an older export
