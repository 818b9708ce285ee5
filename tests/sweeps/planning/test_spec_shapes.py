"""Whatever stands in a spec file gives a sweep or sentences, never a traceback."""

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osr_core.backbones import BACKBONES
from osr_core.data import BENCHMARKS
from osr_core.data.augment import Augmentation
from osr_core.errors import ConfigError
from osr_core.identity import canonical_json
from osr_core.methods import OWN
from osr_core.recipes import Training
from sweeps.planning.resources import Resources
from sweeps.planning.spec import NAMED_BY, SweepSpec, load_spec, parse_spec

GOOD: dict[str, Any] = {"name": "small", "datasets": ["digits"], "splits": [0]}
GOOD |= {"methods": {"softmax": {}}}


def names_of(config: type[Any]) -> list[str]:
    """The settings of a config."""
    return [field.name for field in dataclasses.fields(config)]


KNOWN = [*OWN, *BENCHMARKS, *BACKBONES, *SweepSpec.model_fields, *Resources.model_fields]
KNOWN += [*names_of(Training), *names_of(Augmentation), "random", "folder:x", "published", "c2ae"]
WORDS = st.sampled_from(KNOWN)
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(-3, 40), st.just(10**400), st.floats()),
    *(WORDS, st.text(max_size=8), st.dates(), st.binary(max_size=3)),
)
KEYS = WORDS | st.text(max_size=5) | st.integers(0, 3) | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def check(values: Any) -> None:
    """A spec that can be written down and read back, or problems with their source."""
    try:
        plain = parse_spec(values, "sweep.yaml").plain()
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ["sweep.yaml: none"]
        canonical_json(plain)
        assert parse_spec(plain, "again").plain() == plain
    assert problems
    assert all(problem.startswith("sweep.yaml: ") for problem in problems)


def within(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with some of these names."""
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=3)


TRAINING = within(names_of(Training)) | within(names_of(Augmentation)).map(
    lambda values: {"augmentation": values}
)
BACKBONE = st.sampled_from(sorted(BACKBONES)).flatmap(
    lambda name: within(names_of(BACKBONES[name].Config)).map(lambda v: {**v, "name": name})
)
METHODS = st.sampled_from(sorted(OWN)).flatmap(
    lambda name: within([*names_of(OWN[name].Config), "training", "backbone"]).map(
        lambda values: {name: values}
    )
)
PLACES: dict[str, st.SearchStrategy[Any]] = {
    "anything": VALUES,
    "keys": within(list(SweepSpec.model_fields)).map(lambda values: GOOD | values),
    "training": TRAINING.map(lambda values: GOOD | {"training": values}),
    "backbone": BACKBONE.map(lambda values: GOOD | {"backbone": values}),
    "methods": METHODS.map(lambda values: GOOD | {"methods": values}),
    "resources": within(list(Resources.model_fields)).map(lambda v: GOOD | {"resources": v}),
}


@pytest.mark.parametrize("place", PLACES)
def test_any_value_in_any_place_gives_a_sweep_or_sentences(place: str):
    """Lists in lists, mappings for names, nothing, dates, numbers beyond all bounds."""

    @settings(max_examples=100, deadline=None)
    @given(PLACES[place])
    def every(values: Any) -> None:
        check(values)

    every()


WRONG = [None, True, 3, -1.5, 10**400, float("nan"), "x", "", [], [[]], [["digits"]], {}, {"x": 1}]
WRONG += [{"digits": None}, [{"x": []}], [None], {1: 2}, b"x", datetime.date(2026, 1, 31)]


def each_setting(value: Any) -> Iterator[dict[str, Any]]:
    """A good spec with this value in every place in turn."""
    for key in SweepSpec.model_fields:
        yield {key: value}
    for key in Resources.model_fields:
        yield {"resources": {key: value}}
    nested: list[dict[str, Any]] = [{key: value} for key in names_of(Training)]
    nested += [{"augmentation": {key: value}} for key in names_of(Augmentation)]
    of_training = [{"training": values} for values in nested]
    of_backbone = [
        {"backbone": {"name": name, key: value}}
        for name, backbone in BACKBONES.items()
        for key in ("name", *names_of(backbone.Config))
    ]
    for values in [*of_training, *of_backbone]:
        yield values
        yield {"methods": {"softmax": values}}
        yield {"methods": {"softmax": [values]}}
    for name, method in OWN.items():
        for key in (*names_of(method.Config), "training", "backbone"):
            yield {"methods": {name: {key: value}}}


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_each_setting_takes_a_value_or_says_why_not(value: Any):
    """All settings of all methods, networks and schedules: none has a shape that nobody foresaw."""
    for changes in each_setting(value):
        check(GOOD | changes)


@pytest.mark.parametrize("value", [2.5, "two", "", "2.5", "nan", [2]])
def test_how_to_write_a_number_is_said_of_numbers_alone(value: Any):
    """What is none, or not whole, is not made one by writing it otherwise."""
    with pytest.raises(ConfigError) as refused:
        parse_spec(GOOD | {"resources": {"cpus": value}}, "sweep.yaml")
    expected = f"sweep.yaml: resources.cpus: must be a whole number, not {value!r}."
    assert refused.value.problems == [expected]


def test_wrong_shape_is_said_in_words():
    """With its place and what is wanted there."""
    for changes, expected in (
        ({"datasets": [["digits"]]}, "sweep.yaml: datasets.0: must be a name, not ['digits']."),
        (
            {"datasets": "digits"},
            "sweep.yaml: datasets: must be a list, such as [digits], not 'dig",
        ),
        (
            {"methods": {"cac": False}},
            "sweep.yaml: methods: cac: settings must be a mapping, not F",
        ),
        ({"resources": None}, "sweep.yaml: resources: must be a mapping, such as {cpus: 2}, not N"),
        ({"splits": [[0]]}, "sweep.yaml: splits.0: must be a whole number, not [0]."),
        (
            {"splits": ["0"]},
            "sweep.yaml: splits.0: must be a whole number, not '0'. Write it without quotation",
        ),
        (
            {"resources": {"cpus": 2.0}},
            "sweep.yaml: resources.cpus: must be a whole number, not 2.0. Write it without a point",
        ),
        (
            {"budget": {"gpu_hours": "3"}},
            "sweep.yaml: budget.gpu_hours: must be a number, not '3'. Write it without quotation",
        ),
        ({"name": None}, f"sweep.yaml: name: must be {NAMED_BY}, not None."),
        ({"name": "My sweep"}, f"sweep.yaml: name: must be {NAMED_BY}, not 'My sweep'."),
        (
            {"name": 2024},
            f"sweep.yaml: name: must be {NAMED_BY}, not 2024; in quotes a number is a name.",
        ),
        ({"splits": []}, "sweep.yaml: splits: must be one entry or more, such as [0, 1], not []."),
        ({"methods": {}}, "sweep.yaml: methods: must be one entry or more, such as {softmax: {}}"),
        ({"methods": ["cac"]}, "sweep.yaml: methods: must be a mapping, such as"),
        ({"seeds": [2**63]}, "sweep.yaml: seeds.0: Input should be less than or equal to 9223372"),
    ):
        with pytest.raises(ConfigError) as caught:
            parse_spec(GOOD | changes, "sweep.yaml")
        assert caught.value.problems[0].startswith(expected)


def test_value_that_contains_itself_is_refused():
    """YAML's anchors can do that."""
    loop: dict[str, Any] = {}
    loop["training"] = loop
    with pytest.raises(ConfigError, match="contains itself"):
        parse_spec(GOOD | {"methods": {"cac": loop}}, "sweep.yaml")


@pytest.mark.parametrize("text", ["seeds: [" + 5000 * "9" + "]", 3000 * "[", "? [a]\n: b", "\0"])
def test_text_that_yaml_cannot_make_values_of_is_refused(text: str, tmp_path: Path):
    """A number of 5,000 digits, brackets without end."""
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"is not valid YAML|nested too deeply"):
        load_spec(str(path))


def test_what_is_there_and_no_file_is_not_said_to_be_absent(tmp_path: Path):
    """A folder whose name was meant for one of its specs."""
    with pytest.raises(ConfigError, match=f"spec file {tmp_path} is no file"):
        load_spec(str(tmp_path))


def test_file_that_may_not_be_read_is_named(unprivileged: None):
    """Somebody else's."""
    with pytest.raises(ConfigError, match=r"spec file .* cannot be read: Permission denied"):
        load_spec("/proc/1/environ")
