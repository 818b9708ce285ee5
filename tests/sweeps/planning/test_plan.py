"""The plan is a pure function of the spec: what is asked for, each distinct piece of work once."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osr_core.data import READERS
from osr_core.errors import ConfigError
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import load_spec, parse_spec

DATA = {f"{name}/{subset}": name + subset for name in READERS for subset in ("train", "test")}
SPEC: dict[str, Any] = {
    "name": "small",
    "datasets": ["digits"],
    "splits": [0],
    "methods": {"pmal": {"members": 2}, "openmax": {}},
}
SUBPROCESS = """
import json, sys
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec
spec, data = json.load(sys.stdin)
plan = make_plan(parse_spec(spec, "spec"), data)
print(json.dumps([[trial.id for trial in plan.trials], list(plan.stages)]))
"""


def plan_of(values: dict[str, Any]) -> Plan:
    """The plan of a spec given as plain values, for data that need not be there."""
    return make_plan(parse_spec(values, "spec"), DATA)


def changed(path: str, value: Any) -> dict[str, Any]:
    """SPEC with one value laid in at "methods.pmal.epsilon"."""
    values = deepcopy(SPEC)
    at = values
    *parents, last = path.split(".")
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    return values


def stages_by_role(plan: Plan) -> dict[str, str]:
    """Ids by what people call the stages; each is one of its kind in SPEC."""
    labels = [plan.describe(stage) for stage in plan.stages.values()]
    assert len(set(labels)) == len(labels)
    return dict(zip(labels, plan.stages, strict=True))


def test_stage_is_called_by_four_digits_where_these_suffice():
    """A sampler draws settings with sixteen, and names of runs and progress have to be read."""
    alphas = [15.635081932291683, 3.14159265, 3.14159266, 10.0]
    plan = plan_of({**SPEC, "methods": {"cac": {"alpha": alphas}}})
    fits = [plan.describe(stage) for stage in plan.stages.values() if stage.kind.trains]
    shown = ("15.64", "3.14159265", "3.14159266", "10.0")
    assert fits == [f"fit cac digits/0 seed 0 alpha={text}" for text in shown]


PMAL_FIT, PMAL_MINE = "fit pmal digits/0 seed 0", "pmal.mine pmal digits/0 seed 0"
PMAL_SCORE = "score pmal digits/0 seed 0"
MEMBERS = {"fit softmax digits/0 seed 0", "fit softmax digits/0 seed 0 member 1"}
OPENMAX_SCORE = "score openmax digits/0 seed 0"
OPENMAX = {"calibrate openmax digits/0", OPENMAX_SCORE}
ALL = {*MEMBERS, PMAL_MINE, PMAL_FIT, PMAL_SCORE, *OPENMAX}


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_same_spec_gives_the_same_ids_in_another_process(seed: str) -> None:
    """Ids must outlive the process: the store is searched by them."""
    plan = plan_of(SPEC)
    done = subprocess.run(
        [sys.executable, "-c", SUBPROCESS],
        input=json.dumps([SPEC, DATA]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert json.loads(done.stdout) == [[trial.id for trial in plan.trials], list(plan.stages)]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("methods.pmal.rejection", "probability", {PMAL_SCORE}),
        ("methods.pmal.margin", 0.1, {PMAL_FIT, PMAL_SCORE}),
        ("methods.pmal.epsilon", 0.5, {PMAL_MINE, PMAL_FIT, PMAL_SCORE}),
        ("methods.pmal.prototypes", 5, {PMAL_MINE, PMAL_FIT, PMAL_SCORE}),
        ("methods.pmal.quality", "deep_ensembles", {PMAL_MINE, PMAL_FIT, PMAL_SCORE}),
        ("methods.pmal.diversity", "random", {PMAL_MINE, PMAL_FIT, PMAL_SCORE}),
        ("methods.openmax.tail", 10, OPENMAX),
        ("methods.openmax.alpha", 3, {OPENMAX_SCORE}),
        ("training.epochs", 7, ALL),
        ("backbone.width", 0.5, ALL),
        ("seeds", [1], ALL),
        ("splits", [1], ALL),
    ],
)
def test_a_changed_field_changes_the_stages_downstream_of_it(
    path: str, value: Any, expected: set[str]
) -> None:
    """And no other: those keep their results."""
    before, after = stages_by_role(plan_of(SPEC)), plan_of(changed(path, value))
    gone = {label for label, stage_id in before.items() if stage_id not in after.stages}
    assert gone == expected
    assert len(after.stages) == len(before)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("resources", {"cpus": 2, "gpus": 0.5}),
        ("methods.pmal.epsilon", 0.7),  # the default, written out
        ("protocol", "osrci"),  # the same classes under another name
    ],
)
def test_what_cannot_change_a_result_changes_no_id(path: str, value: Any) -> None:
    """Else a faster machine would have to begin again."""
    assert list(plan_of(changed(path, value)).stages) == list(plan_of(SPEC).stages)


def test_other_data_are_other_stages() -> None:
    """The fingerprint of what is read is part of every id."""
    other = make_plan(parse_spec(SPEC, "spec"), {**DATA, "digits/train": "changed"})
    assert not set(other.stages) & set(plan_of(SPEC).stages)


SPECS = st.fixed_dictionaries(
    {
        "name": st.just("drawn"),
        "datasets": st.lists(
            st.sampled_from(["digits", "cifar10", "cifar+10", "cifar+50"]), min_size=1, unique=True
        ),
        "splits": st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True),
        "seeds": st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
        "recipe": st.sampled_from(["common", "published"]),
        "methods": st.dictionaries(
            st.sampled_from(["softmax", "mls", "openmax", "cac", "proser", "pmal"]),
            st.sampled_from([{}, {"label_smoothing": [0.0, 0.1]}, {"training": {"lr": [1e-3]}}]),
            min_size=1,
        ).map(lambda found: {name: {} if name == "cac" else v for name, v in found.items()}),
    }
)


@settings(max_examples=30, deadline=None)
@given(SPECS)
def test_a_plan_is_closed_and_lists_inputs_first(values: dict[str, Any]) -> None:
    """So it has no cycle, and whoever walks it in order never waits in vain."""
    plan = plan_of(values)
    seen: set[str] = set()
    for stage_id, stage in plan.stages.items():
        assert stage.id == stage_id
        assert {upstream.id for upstream in stage.inputs.values()} <= seen
        seen.add(stage_id)
    assert {trial.id for trial in plan.trials} <= seen
    assert all(plan.trials_of[stage_id] for stage_id in seen)


@settings(max_examples=30, deadline=None)
@given(SPECS)
def test_counts_add_up_to_running_trial_by_trial(values: dict[str, Any]) -> None:
    """Fits and fits saved are what every trial by itself would train."""
    plan = plan_of(values)
    alone = sum(stage.kind.name == "fit" for trial in plan.trials for stage in trial.score.walk())
    counts = plan.counts()
    assert counts["fits"] + counts["fits_saved"] == alone


def test_the_packaged_digits_are_counted_by_hand() -> None:
    """5 splits of 5 methods; per split softmax, PMAL's 2nd member, PMAL and CAC are trained."""
    counts = make_plan(load_spec("digits"), DATA).counts()
    del counts["epochs"]
    assert counts == {"trials": 25, "stages": 55, "fits": 20, "shared": 5, "fits_saved": 15}


def test_cifar_plus_10_and_50_share_their_fits() -> None:
    """The known classes are the same, as in the CAC paper; the five splits are repetitions."""
    values = {**SPEC, "datasets": ["cifar+10", "cifar+50"], "splits": [0, 1, 2, 3, 4]}
    plan = plan_of({**values, "methods": {"cac": {}}})
    fits: dict[str, list[str]] = {}
    for trial in plan.trials:
        found = [stage.id for stage in trial.score.walk() if stage.kind.name == "fit"]
        fits.setdefault(trial.split.benchmark, []).extend(found)
    assert fits["cifar+10"] == fits["cifar+50"]
    assert len(set(fits["cifar+50"])) == 5
    assert plan.counts()["trials"] == 10


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"keep": "nonsense", "validation": 0.1}, "keep 'nonsense' does not exist"),
        ({"keep": "accuracy"}, "validation is 0"),
        ({"keep": "anchor", "validation": 0.1}, "softmax: keep 'anchor' does not exist"),
    ],
)
def test_what_no_fit_measures_cannot_be_kept(training: dict[str, object], said: str) -> None:
    """Found while planning, not after the first epoch."""
    values = {"name": "s", "datasets": ["digits"], "splits": [0], "training": training}
    spec = parse_spec({**values, "methods": {"cac": {}, "softmax": {}}}, "s")
    with pytest.raises(ConfigError, match=said):
        make_plan(spec, {"digits/train": "a", "digits/test": "b"})


def test_stages_of_a_grid_are_told_apart() -> None:
    """In progress, status and MLflow alike; what does not differ is not said."""
    methods = {"softmax": {}, "cac": {"anchor_weight": [0.05, 0.1]}}
    plan = plan_of({"name": "x", "datasets": ["digits"], "splits": [0], "methods": methods})
    labels = [plan.describe(stage) for stage in plan.stages.values()]
    assert len(set(labels)) == len(labels)
    assert "fit cac digits/0 seed 0 anchor_weight=0.05" in labels
    assert "score softmax digits/0 seed 0" in labels
