"""Which network settings reach a trial: the recipe's, the sweep's, then the method's own."""

from typing import Any

import pytest

from osr_core.errors import ConfigError
from sweeps.planning.plan import PlannedTrial, make_plan
from sweeps.planning.settings import lay_backbones
from sweeps.planning.spec import parse_spec

PRINTS = {"digits/train": "a", "digits/test": "b"}


def planned(methods: dict[str, Any], **changes: Any) -> list[PlannedTrial]:
    """Trials on one split of the digits."""
    values = {"name": "small", "datasets": ["digits"], "splits": [0], "methods": methods, **changes}
    return list(make_plan(parse_spec(values, "sweep.yaml"), PRINTS).trials)


@pytest.mark.parametrize("recipe", ["common", "published"])
@pytest.mark.parametrize("name", ["wrn", "resnet18"])
def test_another_network_can_be_asked_for_by_name_alone(name: str, recipe: str) -> None:
    """The recipe's head, dropout and initialisation are OSRCI's, and would be refused."""
    for trial in planned({"cac": {}, "mls": {}}, backbone={"name": name}, recipe=recipe):
        assert trial.backbone["name"] == name
        assert "head" not in trial.backbone
        assert (trial.backbone["image_size"], trial.backbone["channels"]) == (16, 1)


def test_settings_of_the_named_network_are_kept() -> None:
    """The name does not undo what stands beside it."""
    (trial,) = planned({"mls": {}}, backbone={"name": "wrn", "depth": 10, "widen": 1})
    assert (trial.backbone["depth"], trial.backbone["widen"]) == (10, 1.0)


def test_the_same_name_changes_nothing() -> None:
    """Spelling out the recipe's network must give the same stages."""
    (silent,) = planned({"mls": {}}, backbone={"width": 0.25})
    (named,) = planned({"mls": {}}, backbone={"name": "osrci", "width": 0.25})
    assert silent.backbone["head"] == "gap"
    assert silent.id == named.id


def test_one_method_may_have_a_network_of_its_own() -> None:
    """The sweep's width is that of the network that it names, here OSRCI's."""
    methods = {"mls": {}, "cac": {"backbone": {"name": "wrn", "depth": 10}}}
    mls, cac = sorted(
        planned(methods, backbone={"width": 0.25}), key=lambda trial: trial.method, reverse=True
    )
    assert (mls.backbone["name"], mls.backbone["width"]) == ("osrci", 0.25)
    assert (cac.backbone["name"], cac.backbone["depth"]) == ("wrn", 10)


def test_the_images_size_outlives_a_change_of_network() -> None:
    """It says what is seen, not by what."""
    asked = {"name": "osrci", "head": "gap", "image_size": 64, "channels": 3}
    assert lay_backbones(asked, {}, {"name": "wrn"}) == {
        "name": "wrn",
        "image_size": 64,
        "channels": 3,
    }


def test_a_setting_of_the_other_network_is_refused() -> None:
    """Silence would let the user believe that it counts."""
    with pytest.raises(ConfigError, match="key 'head' does not exist"):
        planned({"mls": {}}, backbone={"name": "wrn", "head": "gap"})
