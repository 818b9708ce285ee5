"""A method's settings on a dataset: the recipe's, the sweep's and its own over each other."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from osr_core.backbones import BackboneConfig, resolve_backbone
from osr_core.config import as_dict, build
from osr_core.data import benchmark
from osr_core.methods import METHODS
from osr_core.methods.base import ImageMethod, MethodConfig
from osr_core.recipes import Training, common
from sweeps.planning.entry import MethodSettings
from sweeps.planning.spec import SweepSpec

EVERY_BACKBONE = {each.name for each in fields(BackboneConfig)}  # settings that all have


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """One grid point of one method on one dataset, every setting filled in."""

    method: type[ImageMethod]
    config: MethodConfig
    backbone: Mapping[str, Any]
    training: Training
    protocol: str  # of its splits
    hyperparameters: Mapping[str, Any]  # the config's, plus the overrides given for this method

    @cached_property
    def schedule(self) -> dict[str, Any]:
        """The training as plain JSON."""
        return as_dict(self.training)


def resolve(spec: SweepSpec, dataset: str, name: str, settings: MethodSettings) -> Resolved:
    """Lay the recipe's settings, the sweep's and the method's own over each other."""
    method = METHODS[name]
    made_for = benchmark(dataset)
    recipe = common(made_for) if spec.recipe == "common" else method.published(made_for)
    config = build(method.Config, settings.hyperparameters)
    overrides = {f"training.{key}": value for key, value in settings.training.items()}
    overrides |= {f"backbone.{key}": value for key, value in settings.backbone.items()}
    overrides |= {"protocol": settings.protocol} if settings.protocol else {}
    return Resolved(
        method=method,
        config=config,
        backbone=resolve_backbone(
            lay_backbones(recipe.backbone, spec.backbone, settings.backbone),
            image_size=made_for.known.image_size,
            channels=made_for.known.channels,
        ),
        training=build(
            Training, override(as_dict(recipe.training), spec.training, settings.training)
        ),
        protocol=settings.protocol or spec.protocol,
        hyperparameters={**as_dict(config), **overrides},
    )


def lay_backbones(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Backbone settings, later ones over earlier ones.

    A layer that names another network than those before it keeps of theirs only what every network
    has (the image's size and channels): a head or a width means something else there, or nothing.
    """
    laid: dict[str, Any] = {}
    for layer in layers:
        if layer.get("name", laid.get("name")) != laid.get("name"):
            laid = {key: value for key, value in laid.items() if key in EVERY_BACKBONE}
        laid = {**laid, **layer}
    return laid


def override(values: dict[str, Any], *changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with later mappings laid over it; nested mappings are merged, not replaced."""
    for change in changes:
        for key, value in change.items():
            nested = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
            values = {**values, key: override(values[key], value) if nested else value}
    return values
