"""A search block is checked in full before anything runs, with words that help."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from osr_core.errors import ConfigError
from sweeps.planning.data import plan_with_data
from sweeps.planning.entry import MethodSettings
from sweeps.planning.json_schema import json_schema
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import SweepSpec, parse_spec

WEIGHT = {"low": 0.01, "high": 1.0, "log": True}
SPEC = {"name": "searching", "datasets": ["digits"], "splits": [0, 1]}


def spec_of(search: Any, method: str = "cac", **others: Any) -> SweepSpec:
    """A spec with one search."""
    entry = {"search": search, **others}
    return parse_spec({**SPEC, "methods": {method: entry}}, "s.yaml")


def problems(search: Any, method: str = "cac", **others: Any) -> list[str]:
    """What is said of a search block."""
    with pytest.raises(ConfigError) as caught:
        spec_of(search, method, **others)
    return caught.value.problems


def test_a_grid_and_a_search_stand_side_by_side():
    """Grid points are planned from the start, a search grows; both come back from a record."""
    grid = {"anchor_weight": [0.1, 0.2]}
    entries = [grid, {"alpha": 5.0, "search": {"space": {"anchor_weight": WEIGHT}}}]
    spec = parse_spec({**SPEC, "methods": {"softmax": {}, "cac": entries}}, "s.yaml")
    assert [type(entry) for entry in spec.methods["cac"][:2]] == [MethodSettings] * 2
    assert len(spec.searches) == 1
    again = parse_spec(yaml.safe_load(yaml.safe_dump(spec.plain())), "s.yaml")
    assert again.plain() == spec.plain()
    assert again.searches == spec.searches
    marks = {"digits/train": "t", "digits/test": "e"}
    assert len(make_plan(spec, marks).trials) == 6


def test_each_point_of_a_grid_has_its_own_search():
    """A list beside the block is a grid, as everywhere."""
    spec = spec_of({"space": {"anchor_weight": WEIGHT}}, alpha=[5.0, 10.0])
    assert [search.fixed["alpha"] for search in spec.searches] == [5.0, 10.0]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("tpe", "search must be a mapping with a space, not 'tpe'"),
        ({}, "space must be a mapping of settings to ranges or lists"),
        ({"space": {"anchor_wieght": WEIGHT}}, "Did you mean 'anchor_weight'?"),
        ({"space": {"anchor_weight": []}}, "the choice is empty"),
        ({"space": {"anchor_weight": 3}}, "must be a list or a mapping with low and high"),
        ({"space": {"anchor_weight": {"low": 1}}}, "high must be a finite number, not None"),
        ({"space": {"anchor_weight": {"low": 2, "high": 1}}}, "low must be < high"),
        ({"space": {"anchor_weight": {**WEIGHT, "low": 0}}}, "low must be > 0 on a log scale"),
        ({"space": {"anchor_weight": {**WEIGHT, "step": 0.1}}}, "step must be > 0 and without log"),
        (
            {"space": {"alpha": {"low": 2.0, "high": 10.0, "step": 3.0}}},
            "step must divide high - low, from 2.0 to 10.0, which 3.0 does not",
        ),
        (
            {"space": {"training.epochs": {"low": 1, "high": 4, "step": 5}}},
            "step must divide high - low, from 1 to 4, which 5 does not",
        ),
        ({"space": {"anchor_weight": {**WEIGHT, "hihg": 1}}}, "Did you mean 'high'?"),
        ({"space": {"anchor_weight": {"low": -1, "high": 1}}}, "anchor_weight must be >"),
        ({"space": {"anchor_weight": [0.1, "much"]}}, "anchor_weight must be of type float"),
        ({"space": {"training.lr": {"low": -0.1, "high": 0.1}}}, "lr must be >"),
        ({"space": {"training.epochs": {"low": 1, "high": 2.5}}}, "high must be a whole number"),
        ({"space": {"data.lr": WEIGHT}}, "layer 'data' does not exist"),
        ({"space": {"alpha": {**WEIGHT, "when": {"beta": 1}}}}, "when names 'beta'"),
        ({"space": {"anchor_weight": WEIGHT}, "select": "auroc"}, "select must be one of"),
        (
            {"space": {"anchor_weight": WEIGHT}, "select": "held_out_auroc"},
            "not 'held_out_auroc'. Did you mean 'held_out_classes_auroc'?",
        ),
        ({"space": {"anchor_weight": WEIGHT}, "sampler": "cmaes"}, "sampler must be one of"),
        ({"space": {"anchor_weight": WEIGHT}, "candidates": 0}, "candidates must be >= 1"),
        ({"space": {"anchor_weight": WEIGHT}, "candidate": 5}, "Did you mean 'candidates'?"),
        ({"space": {"anchor_weight": WEIGHT}, "objective": ["x"]}, "rule 'x' does not exist"),
        ({"space": {"anchor_weight": WEIGHT}, "held_out": 1.0}, "held_out must be < 1"),
        ({"space": {"anchor_weight": WEIGHT}, "from": 3}, "from must be a sweep's name"),
        (
            {"space": {"anchor_weight": WEIGHT}, "splits": [0, 0]},
            "splits names something more than",
        ),
        (None, "search must be a mapping with a space, not None"),
        ({"space": {"alpha": {"low": 2, "high": 3, "step": 9}}}, "step must divide high - low"),
        ({"space": {"alpha": [2.0, 3.0, 2.0]}}, "the choice has 2.0 more than once"),
        ({"space": {"alpha": [2.0]}, "objective": ["x", "x"]}, "objective names something more"),
        ({"space": {"alpha": [2.0]}, "candidates": 2, "top": 3}, "top is 3; it must be <= cand"),
        (
            {"space": {"training.epochs": [1, 2]}, "enqueue": [{"training.epochs": 1.5}]},
            "training.epochs 1.5 is not in the space",
        ),
        ({"space": {"anchor_weight": WEIGHT}, "enqueue": [{}]}, "'anchor_weight' is missing"),
        (
            {"space": {"alpha": [2.0, 3.0]}, "enqueue": [{"alpha": 2.0}] * 3, "candidates": 2},
            "enqueue has 3 settings; it must have <= candidates, 2",
        ),
        (
            {"space": {"anchor_weight": WEIGHT}, "enqueue": [{"anchor_weight": 2.0}]},
            "anchor_weight 2.0 is not in the space",
        ),
        (
            {"space": {"anchor_weight": WEIGHT}, "enqueue": [{"anchor_weight": 0.1, "beta": 1}]},
            "enqueue.0: setting 'beta' does not exist",
        ),
        (
            {
                "space": {"anchor_weight": WEIGHT},
                "objective": ["known_accuracy", "held_out_classes_auroc"],
            },
            "prune needs one objective",
        ),
    ],
)
def test_what_is_wrong_is_said(search: Any, said: str):
    """One sentence, with the place, the value and what is allowed."""
    (problem,) = [each for each in problems(search) if said in each] or [None]
    assert problem is not None, problems(search)
    assert problem.startswith("s.yaml: methods: cac: search")


@pytest.mark.parametrize(
    "wrong",
    [
        {"space": {"anchor_wieght": WEIGHT}},
        {"space": {"anchor_weight": []}},
        {"space": {"anchor_weight": {"low": 0.1}}},
        {"select": "auroc"},
        {"sampler": "cmaes"},
        {"candidate": 3},
        {"candidates": 0},
    ],
)
def test_an_editor_knows_the_block_by_the_schema(wrong: dict[str, Any]):
    """What it takes, and what it underlines as `osr plan` would refuse it."""
    valid = jsonschema.Draft202012Validator(json_schema())
    right = {"space": {"anchor_weight": WEIGHT, "training.lr": [0.1]}, "from": "earlier"}
    assert valid.is_valid({**SPEC, "methods": {"cac": {"search": right}}})
    assert not valid.is_valid({**SPEC, "methods": {"cac": {"search": {**right, **wrong}}}})


def test_all_problems_are_said_at_once():
    """Those of the space beside those of the rest."""
    search = {"space": {"beta": WEIGHT, "alpha": []}, "sampler": "cmaes", "top": 0}
    found = " ".join(problems(search))
    assert all(part in found for part in ("'beta'", "the choice is empty", "sampler", "top must"))


def test_what_is_fixed_is_not_searched_and_a_condition_on_it_can_hold():
    """Beside the block, and in the space: one of them would never count."""
    twice = problems({"space": {"alpha": [5.0, 10.0]}}, alpha=5.0)[0]
    assert "is set to 5.0 beside `search`" in twice
    rates = {"space": {"training.lr": [0.1, 0.2]}}
    assert "training.lr: is set to 0.1" in problems(rates, training={"lr": 0.1})[0]
    space = {"label_smoothing": {"low": 0.0, "high": 0.3, "when": {"loss": "one_vs_rest"}}}
    said = problems({"space": space}, "softmax", loss="cross_entropy")[0]
    assert "`loss: one_vs_rest` never holds, because loss is fixed at 'cross_entropy'" in said


def test_a_condition_names_a_choice_that_exists():
    """A value that its setting never takes would leave the other out for ever."""
    smoothing = {"low": 0.0, "high": 0.3, "when": {"loss": "hinge"}}
    space = {"loss": ["one_vs_rest", "cross_entropy"], "label_smoothing": smoothing}
    assert "which is none of its choices" in problems({"space": space}, "softmax")[0]


def test_a_point_of_ones_own_has_just_the_settings_that_count():
    """One more failed when it was tried, or was told to the sampler though it had no effect."""
    smoothing = {"low": 0.0, "high": 0.3, "when": {"loss": "cross_entropy"}}
    space = {"loss": ["one_vs_rest", "cross_entropy"], "label_smoothing": smoothing}
    points = [{"loss": "one_vs_rest", "label_smoothing": 0.1}, {"loss": "cross_entropy"}]
    more, less = problems({"space": space, "enqueue": points}, "softmax")
    assert "enqueue.0: label_smoothing does not count beside the others; leave it out" in more
    assert "enqueue.1: 'label_smoothing' is missing" in less


def test_a_split_with_too_few_known_classes_is_refused(tmp_path: Path):
    """Two known classes: none can be hidden; by known accuracy one may choose all the same."""
    (tmp_path / "two.json").write_text(
        '{"splits": {"digits": [{"known": [0, 1], "unknown": [2]}]}}'
    )
    file = tmp_path / "two.json"
    search = {"space": {"anchor_weight": WEIGHT}}
    values = {**SPEC, "splits": [0], "protocol": str(file)}
    spec = parse_spec({**values, "methods": {"cac": {"search": search}}}, "s.yaml")
    with pytest.raises(ConfigError, match=r"digits/0 has 2; it needs 3 at least"):
        plan_with_data(spec, None)
    blind = {**search, "select": "known_accuracy"}
    plan_with_data(parse_spec({**values, "methods": {"cac": {"search": blind}}}, "s.yaml"), None)


@pytest.mark.parametrize("held_out", [0.001, 0.999])
def test_some_images_are_held_out_and_some_left(held_out: float):
    """About a hundred and eighty of each digit: none of them, or all."""
    spec = spec_of({"space": {"anchor_weight": WEIGHT}, "held_out": held_out})
    with pytest.raises(ConfigError, match="some must be held out and some left"):
        plan_with_data(spec, None)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"training.keep": ["last", "accuracy"]}, "training.keep 'accuracy' goes with nothing"),
        ({"backbone.head": ["gap", "flatten"]}, "backbone.head 'gap' goes with nothing"),
    ],
)
def test_values_with_which_every_candidate_fails_are_refused(space: dict[str, Any], said: str):
    """They were found one after the other, candidate by candidate."""
    search = {"space": {"alpha": [5.0, 10.0], **space}}
    values = {**SPEC, "backbone": {"name": "wrn"}, "methods": {"cac": {"search": search}}}
    spec = parse_spec(values, "s.yaml")
    with pytest.raises(ConfigError, match=f"search of cac: {said} else of the space: "):
        plan_with_data(spec, None)


def test_a_value_that_another_setting_makes_possible_is_kept():
    """Only some candidates fail, and the sampler learns of it."""
    space = {"training.keep": ["last", "accuracy"], "training.validation": [0.0, 0.2]}
    plan_with_data(spec_of({"space": space}), None)


def test_a_choice_that_another_choice_makes_possible_is_kept():
    """PMAL without a quality needs a diversity that asks for no order; its default asks for one."""
    space = {"quality": ["none", "robustness"], "diversity": ["random", "nearest_better"]}
    plan_with_data(spec_of({"space": space}, "pmal"), None)
    said = problems({"space": {**space, "diversity": ["nearest_better"]}}, "pmal")
    assert said[0].endswith("where quality is 'none': nothing orders the images.")


def test_a_value_that_a_late_choice_of_a_large_space_makes_possible_is_kept():
    """Only the first few hundred combinations were tried, and the others taken for impossible."""
    alphas = [float(n) for n in range(1, 301)]
    space = {"training.validation": [0.0, 0.2], "alpha": alphas}
    space["training.keep"] = ["last", "accuracy"]
    plan_with_data(spec_of({"space": space}), None)


def test_an_oracle_that_only_leads_the_sampler_is_named():
    """Test images were looked at, whatever chose at last."""
    search = {"space": {"anchor_weight": WEIGHT}, "select": "known_accuracy"}
    assert "ORACLE" not in spec_of(search).searches[0].looks_at
    led = spec_of({**search, "objective": ["oracle_auroc"]}).searches[0].looks_at
    assert led.startswith("accuracy on held-out")
    assert "led by ORACLE" in led


def test_a_split_that_the_protocol_lacks_is_refused():
    """Found when planned, not by the first candidate."""
    spec = spec_of({"space": {"anchor_weight": WEIGHT}, "splits": [0, 77]})
    with pytest.raises(ConfigError, match="77"):
        plan_with_data(spec, None)


def test_a_step_that_ends_at_the_other_end_is_taken():
    """In decimals: 0.1 goes three times into 0.4 - 0.1, though not in the machine's numbers."""
    tenths = {"low": 0.1, "high": 0.4, "step": 0.1}
    assert spec_of({"space": {"anchor_weight": tenths}}).searches[0].space[0].step == 0.1
