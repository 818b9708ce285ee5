"""Bad specs are found before any work starts, all faults at once, with what is allowed."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from analysis.papers.layouts import LAYOUTS
from osr_core.errors import ConfigError
from sweeps.commands.app import app
from sweeps.home import RESERVED
from sweeps.planning.json_schema import json_schema
from sweeps.planning.spec import load_spec, packaged_specs, parse_spec

GOOD: dict[str, Any] = {
    "name": "small",
    "datasets": ["digits"],
    "splits": [0, 1],
    "methods": {"softmax": {}, "cac": {"alpha": [5, 10], "anchor_weight": 0.1}},
}


def problems(**changes: Any) -> str:
    """What is said of the good spec with some keys changed; None takes a key away."""
    values = {k: v for k, v in {**deepcopy(GOOD), **changes}.items() if v is not None}
    with pytest.raises(ConfigError) as caught:
        parse_spec(values, "sweep.yaml")
    assert all(problem.startswith("sweep.yaml: ") for problem in caught.value.problems)
    return "\n".join(caught.value.problems)


def test_a_list_is_a_grid():
    """Two values of alpha are two rows; ints become the floats that they stand for."""
    points = parse_spec(GOOD, "sweep.yaml").methods["cac"]
    assert [point.hyperparameters["alpha"] for point in points] == [5.0, 10.0]
    assert all(isinstance(point.hyperparameters["alpha"], float) for point in points)


def test_a_list_of_mappings_stands_one_after_the_other():
    """Ablations change several settings together, which is no product."""
    methods = {"cac": [{"alpha": 5}, {"alpha": 10, "anchor_weight": [0.1, 1.0]}]}
    points = parse_spec({**GOOD, "methods": methods}, "sweep.yaml").methods["cac"]
    weights = [(p.hyperparameters["alpha"], p.hyperparameters["anchor_weight"]) for p in points]
    assert weights == [(5, 0.1), (10, 0.1), (10, 1.0)]


def test_a_grid_reaches_into_training():
    """Learning rates are swept like any other setting."""
    methods = {"softmax": {"training": {"lr": [0.1, 0.01]}}}
    points = parse_spec({**GOOD, "methods": methods}, "sweep.yaml").methods["softmax"]
    assert [point.training["lr"] for point in points] == [0.1, 0.01]


def test_an_unknown_key_is_named_with_the_nearest_right_one():
    """Typos are the commonest fault."""
    said = problems(datasetz=["mnist"], methods={"cac": {"alpah": 3}})
    assert "key 'datasetz' does not exist. Did you mean 'datasets'?" in said
    assert "cac: key 'alpah' does not exist. Did you mean 'alpha'?" in said


def test_all_faults_are_reported_at_once():
    """Nobody wants to launch eight times to find eight faults."""
    said = problems(
        name="Not Good",
        protocol="cacc",
        datasets=["digits", "mnits"],
        splits=[0, 99],
        seeds=[-1],
        recipe="best",
        methods={"sofmax": {}, "cac": {"alpha": -1.0, "anchor_weight": "big"}},
        training={"epochs": 0},
        resources={"cpu": 2},
        budget={"gpu_hour": 2},
    )
    for part in (
        "name:",
        "'cacc'",
        "Did you mean 'mnist'?",
        "seeds.0",
        "recipe",
        "Did you mean 'softmax'?",
        "alpha must be > 0",
        "anchor_weight must be of type float",
        "epochs must be >= 1",
        "Did you mean 'cpus'?",
    ):
        assert part in said, part


def test_a_split_that_the_protocol_lacks_is_refused_with_those_that_exist():
    """Split 7 of CIFAR-10 is nobody's."""
    assert "0 to 4" in problems(splits=[0, 7])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"splits": []}, "splits"),
        ({"seeds": []}, "seeds"),
        ({"datasets": []}, "datasets"),
        ({"methods": {}}, "methods"),
        ({"methods": {"cac": {"alpha": []}}}, "the grid is empty"),
        ({"methods": {"cac": []}}, "the list of settings is empty"),
        ({"splits": [0, 0]}, "more than once"),
        ({"splits": ["0"]}, "splits.0"),
        ({"methods": {"cac": {"alpha": float("nan")}}}, "finite"),
        ({"methods": {"cac": 3}}, "must be a mapping"),
        ({"methods": None}, "key 'methods' is missing"),
        ({"backbone": {"width": 0}}, "width must be > 0"),
        ({"backbone": {"name": "resnet9000"}}, "backbone 'resnet9000' does not exist"),
        ({"training": {"augmentation": {"flips": True}}}, "Did you mean 'flip'?"),
    ],
)
def test_each_fault_has_its_sentence(changes: dict[str, Any], expected: str):
    """One bad value each."""
    assert expected in problems(**changes)


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_stands_for_something_else_is_refused(name: str):
    """`osr table cac2` prints the paper's; a sweep of that name could never be printed."""
    said = problems(name=name)
    assert f"name: '{name}' is {RESERVED[name]}. Give the sweep another name." in said


def test_reserved_names_are_those_of_tables_and_of_mlflow():
    """Neither the spec nor the tables may import the other; here the two are held together."""
    assert set(RESERVED) == {*LAYOUTS, "compare", "default"}


def test_a_key_given_twice_is_refused(tmp_path: Path):
    """YAML would silently take the last."""
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(ConfigError, match="key 'name' stands twice"):
        load_spec(str(path))


def test_a_missing_file_or_name_says_what_exists(tmp_path: Path):
    """Specs come by path or by packaged name."""
    with pytest.raises(ConfigError, match="Did you mean 'digits'"):
        load_spec("digit")
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist"):
        load_spec(str(tmp_path / "none.yaml"))
    (tmp_path / "broken.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_spec(str(tmp_path / "broken.yaml"))


@pytest.mark.parametrize("name", sorted(packaged_specs()))
def test_every_packaged_spec_is_good(name: str):
    """They are the first thing that a user runs; the file's name is the sweep's."""
    assert load_spec(name).name.replace("-", "_") == name


@pytest.fixture(scope="module")
def validator() -> Any:
    """Holds specs against the JSON Schema, which is a right one itself."""
    jsonschema = pytest.importorskip("jsonschema")  # comes with Ray
    schema = json.loads(json.dumps(json_schema()))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def test_a_packaged_spec_is_printed_to_be_copied(tmp_path: Path):
    """The copy is the same sweep; a wrong name is told the right one."""
    copy = tmp_path / "my_sweep.yaml"
    osr = CliRunner()
    copy.write_text(osr.invoke(app, ["spec", "digits"]).stdout)
    assert load_spec(str(copy)).plain() == load_spec("digits").plain()
    assert osr.invoke(app, ["spec"]).stdout.split() == sorted(packaged_specs())
    with pytest.raises(ConfigError, match="Did you mean 'digits'"):
        osr.invoke(app, ["spec", "digts"], catch_exceptions=False)


@pytest.mark.parametrize("name", sorted(packaged_specs()))
def test_the_json_schema_accepts_every_packaged_spec(name: str, validator: Any):
    """An editor must not underline what `osr run` takes."""
    validator.validate(yaml.safe_load(packaged_specs()[name].read_text()))


def test_the_json_schema_says_once_what_all_methods_share():
    """An editor reads all of it whenever it opens a spec: it had five megabytes."""
    assert len(json.dumps(json_schema(), indent=2)) < 500_000


def test_the_json_schema_refuses_a_typo(validator: Any):
    """It would be of no use otherwise."""
    for changes in ({"methods": {"cac": {"alpah": 1}}}, {"name": "cac2"}, {"name": "A b"}):
        assert not validator.is_valid({**GOOD, **changes})


RIGHT = ["folder:Flowers", "folder:Flowers@224", "parquet:birds-2", "cifar+10", "imagenet_lt"]
WRONG = ["folder:", "folder:../secret", "folder:a/b", "folder:a@0", "tree:a", "a folder:b", "c"]


@pytest.mark.parametrize("name", RIGHT)
def test_the_json_schema_accepts_every_name_of_a_dataset(name: str, tmp_path: Path, validator: Any):
    """Listed ones and one's own images, as a spec does."""
    protocol = tmp_path / "splits.json"
    protocol.write_text(json.dumps({"splits": {name: [{"known": [0, 1], "unknown": [2]}]}}))
    values = {**GOOD, "protocol": str(protocol), "datasets": [name], "splits": [0]}
    validator.validate(values)
    assert parse_spec(values, "sweep.yaml").datasets == [name]


@pytest.mark.parametrize("name", WRONG)
def test_the_json_schema_refuses_other_names_of_datasets(name: str, validator: Any):
    """As a spec does."""
    assert not validator.is_valid({**GOOD, "datasets": [name]})
    assert f"dataset '{name}' does not exist" in problems(datasets=[name])
