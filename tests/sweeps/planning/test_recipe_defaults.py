"""The defaults of `osr schema`: what a key that a spec leaves out really becomes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from osr_core.data import BENCHMARKS
from sweeps.planning.json_schema import json_schema
from sweeps.planning.settings import Resolved, resolve
from sweeps.planning.spec import SweepSpec

SCHEMA = json_schema()
PROPERTIES, defined = SCHEMA["properties"], SCHEMA["$defs"].__getitem__
OWN_OF_DATASET = ("image_size", "channels")  # null in a spec


def resolved(dataset: str) -> Resolved:
    """A method of a spec that says nothing of training and network."""
    given = {"name": "a", "datasets": [dataset], "splits": [0], "methods": {"softmax": {}}}
    spec = SweepSpec.model_validate(given)
    return resolve(spec, dataset, "softmax", spec.grids["softmax"][0])


def leaves(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """What the schema says of each key that the values have, and its value."""
    for key, about in schema["properties"].items():
        if "properties" in about:
            yield from leaves(about, values[key])
        elif key in values and key not in OWN_OF_DATASET:
            yield about, values[key]


@pytest.mark.parametrize("dataset", BENCHMARKS)
def test_a_default_is_what_a_spec_without_the_key_gets(dataset: str):
    """The recipe decides, not the class: a warm-up of 10 epochs, where the class has none."""
    method = resolved(dataset)
    training = [*leaves(PROPERTIES["training"], json.loads(json.dumps(method.schedule)))]
    network = [*leaves(PROPERTIES["backbone"], method.backbone)]
    assert len(training) > 15
    assert len(network) > 4
    for about, value in training + network:
        if "default" in about:
            assert about["default"] == value, about
        else:
            assert "by dataset" in about["description"], about
            assert json.dumps(value) in about["description"].rpartition("one of ")[2], about


def test_a_default_that_the_recipe_does_not_give_is_named_with_its_network():
    """Dropout is 0.2 in one network and 0 in another, and only one of them has a depth."""
    said = PROPERTIES["backbone"]["properties"]
    assert said["name"]["default"] == "osrci"
    assert said["dropout"]["default"] == 0.2
    assert "wrn: rate" in said["dropout"]["description"]
    assert said["dropout"]["description"].endswith("default 0.0")
    assert said["depth"]["description"].startswith("wrn: ")
    assert not said["channels"]["description"].startswith("osrci")


def test_a_method_s_own_training_has_the_same_defaults():
    """Inside of an entry as beside it."""
    entry = defined("method.cac")["properties"]
    assert entry["training"] == {"$ref": "#/$defs/training"}
    own = defined("training")["anyOf"][0]["properties"]
    assert own["warmup_epochs"]["default"] == 10
    assert "default" not in own["augmentation"]["anyOf"][0]["properties"]["flip"]
