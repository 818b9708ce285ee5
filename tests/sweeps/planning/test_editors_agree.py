"""What an editor underlines by the JSON Schema is what `osr plan` refuses.

But for what no schema says: that 2.0 is no whole number, and what depends on another value.
"""

from typing import Any

import pytest

from tests.sweeps.planning.two_checks import EDITOR, is_taken

RATES = {"training.lr": [0.1, 0.2]}
ENTRIES_TAKEN = (  # of a method
    None,
    [None, {}],
    {"loss": ["cross_entropy", "one_vs_rest"]},
    {"protocol": "cac"},
    {"protocol": ["cac", "random"]},
    {"training": {"epochs": [1, 2], "lr": 1, "drops": [0.5, 0.6]}},
    {"training": [{"lr": 0.1}, {"lr": 0.2}]},
    {"training": {"augmentation": {"flip": [True, False]}}},
    {"training": {"augmentation": [{"flip": True}, {}]}},
    {"backbone": {"name": ["osrci", "resnet18"], "image_size": [32, 64]}},
    {"backbone": [{"width": 0.5}, {"width": 1}]},
    {"search": {"space": RATES, "enqueue": [{"training.lr": 0.1}]}},
    {"search": {"space": {"backbone.width": {"low": 0.5, "high": 1.0, "step": 0.25}}}},
)
ENTRIES_REFUSED = (
    [],
    [[]],
    {"loss": []},
    {"loss": [None]},
    {"protocol": 3},
    {"protocol": []},
    {"protocol": [3]},
    {"training": None},
    {"training": []},
    {"training": [None]},
    {"training": [{"lr": [0.1]}]},
    {"training": {"lr": "0.1"}},
    {"training": {"epochs": True}},
    {"training": {"drops": 0.5}},
    {"training": {"drops": [[0.5], [0.6]]}},
    {"training": {"augmentation": []}},
    {"training": [{"augmentation": [{"flip": True}]}]},
    {"training": [{"augmentation": {"flip": [True]}}]},
    {"backbone": {"name": []}},
    {"backbone": {"name": "resnet19"}},
    {"backbone": [{"width": [0.5]}]},
    {"search": None},
    {"search": []},
    {"search": {}},
    {"search": {"space": {"training.lr": 0.1}}},
    {"search": {"space": {"backbone.name": ["osrci", "resnet18"]}}},
    {"search": {"space": {"protocol": ["cac"]}}},
    {"search": {"space": RATES, "enqueue": {}}},
    {"search": {"space": RATES, "splits": 0}},
)
TAKEN = (
    {"resources": {}, "budget": {}},
    {
        "resources": {
            "gpus": 0.5,
            "custom": {"licence": 1},
            "labels": {"zone": "!a", "b": "in(c, d)"},
        }
    },
    {"resources": {"kinds": {"fit": {"gpus": 1}}, "methods": {"softmax": {"cpus": 2}}}},
    {"budget": {"gpu_hours": 1, "trials": 3}},
    {"x-shared": {}},
)
REFUSED = (
    {"datasets": "digits"},
    {"datasets": ["digits", "digits"]},
    {"splits": []},
    {"splits": [True]},
    {"seeds": None},
    {"methods": []},
    {"methods": {}},
    {"protocol": None},
    {"training": [{"lr": 0.1}]},
    {"training": {"lr": [0.1]}},
    {"backbone": {"name": ["osrci"]}},
    {"resources": None},
    {"resources": {"cpus": True}},
    {"resources": {"gpus": "1"}},
    {"resources": {"gpus": True}},
    {"resources": {"custom": {"licence": True}}},
    {"resources": {"labels": {"zone": "in(a"}}},
    {"resources": {"kinds": {"fits": {"gpus": 1}}}},
    {"resources": {"methods": {"sofmax": {"gpus": 1}}}},
    {"resources": {"checkpoint_every_s": "60"}},
    {"resources": {"labels": {"zone": 1}}},
    {"resources": {"custom": {"licence": "1"}}},
    {"resources": {"kinds": {"fit": {"gpus": "1"}}}},
    {"budget": {"trials": True}},
    {"budget": {"gpu_hours": "3"}},
    {"budget": {"hours": 3}},
)


@pytest.mark.parametrize("entry", ENTRIES_TAKEN, ids=str)
def test_what_a_method_may_say(entry: Any):
    """A grid, one after the other, or a search, at each depth."""
    assert is_taken({"methods": {"softmax": entry}})


@pytest.mark.parametrize("entry", ENTRIES_REFUSED, ids=str)
def test_what_a_method_may_not_say(entry: Any):
    """An empty list, a list in a list, another type."""
    assert not is_taken({"methods": {"softmax": entry}})


@pytest.mark.parametrize("changed", TAKEN, ids=str)
def test_what_else_a_spec_may_say(changed: dict[str, Any]):
    """Beside its methods."""
    assert is_taken(changed)


@pytest.mark.parametrize("changed", REFUSED, ids=str)
def test_what_else_a_spec_may_not_say(changed: dict[str, Any]):
    """A number in quotation marks is none; no grid stands outside of a method."""
    assert not is_taken(changed)


def test_a_grid_keeps_what_a_setting_means_and_is_by_default():
    """An editor shows both where one points at a setting."""
    of_all = EDITOR.schema["properties"]["training"]["properties"]
    of_one = EDITOR.schema["$defs"]["training"]["anyOf"][0]["properties"]
    plain = [name for name in of_all if name != "augmentation"]
    assert plain == [name for name in of_one if name != "augmentation"]
    for name in plain:
        assert of_one[name]["description"] == of_all[name]["description"]
        assert of_one[name].get("default") == of_all[name].get("default")
