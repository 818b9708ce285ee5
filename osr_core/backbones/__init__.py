"""Backbones by name. To add one: a file with a `Backbone`, and a line here.

Besides these there are timm's, by names that begin with "timm/".
"""

from collections.abc import Mapping
from typing import Any

from osr_core.backbones.base import Backbone, BackboneConfig, Normalize
from osr_core.backbones.cgdl import CGDLEncoder
from osr_core.backbones.from_timm import PREFIX, network_of_timm
from osr_core.backbones.osrci import OSRCI
from osr_core.backbones.resnet import ResNet18, ResNet50
from osr_core.backbones.wrn import WRN
from osr_core.config import as_dict, build
from osr_core.errors import ConfigError, unknown_name

BACKBONES: dict[str, type[Backbone]] = {
    "osrci": OSRCI,
    "wrn": WRN,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "cgdl": CGDLEncoder,
}

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "Normalize",
    "backbone_named",
    "build_backbone",
    "resolve_backbone",
]


def backbone_named(name: object) -> type[Backbone]:
    """The class of a backbone by its name.

    Raises:
        ConfigError: there is none; or it is one of timm's, and timm is not installed.
    """
    if isinstance(name, str) and name.startswith(PREFIX):
        return network_of_timm(name)
    if not isinstance(name, str) or name not in BACKBONES:
        raise ConfigError(unknown_name("backbone", name, BACKBONES))
    return BACKBONES[name]


def resolve_backbone(
    settings: Mapping[str, Any], *, image_size: int, channels: int
) -> dict[str, Any]:
    """All settings of a backbone, checked, as plain JSON with its "name" and "version".

    This stands in the identity of every stage that has a network.

    Raises:
        ConfigError: an unknown name or key, or a value out of range; all problems at once.
    """
    values = dict(settings)
    name = values.pop("name", "osrci")
    backbone = backbone_named(name)
    own = {"image_size": image_size, "channels": channels}
    own |= {key: value for key, value in values.items() if value is not None or key not in own}
    config = as_dict(build(backbone.Config, own))
    return {"name": name, "version": backbone.version, **config}


def build_backbone(settings: Mapping[str, Any]) -> Backbone:
    """A network from what `resolve_backbone` gave; weights come from torch's global generator."""
    values = dict(settings)
    backbone, _ = backbone_named(values.pop("name")), values.pop("version")
    return backbone(build(backbone.Config, values))
