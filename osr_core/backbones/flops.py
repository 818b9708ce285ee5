"""How many floating point operations a network takes for one image."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from osr_core.backbones import build_backbone

T = TypeVar("T")


def forward_flops(settings: Mapping[str, Any]) -> int:
    """Operations of one image's way to its embedding, a multiplication with its addition as two.

    Convolutions and matrix products count, normalisation and activations do not. `settings` are
    what `resolve_backbone` gave. Nothing is computed: tensors have shapes and no memory.
    """
    side = settings["image_size"]
    return flops_of(build_backbone, [settings], (1, settings["channels"], side, side))


def once(function: Callable[[Mapping[str, Any]], T]) -> Callable[[Mapping[str, Any]], T]:
    """A function of a backbone's settings that is called once for equal ones: to build a network
    takes a tenth of a second.
    """
    by_text = cache(lambda text: function(json.loads(text)))
    return wraps(function)(lambda settings: by_text(json.dumps(settings, sort_keys=True)))


@once
def embedding_size(settings: Mapping[str, Any]) -> int:
    """D of a backbone's embeddings (B, D)."""
    with torch.device("meta"):
        return build_backbone(settings).dim


@once
def stage_shapes(settings: Mapping[str, Any]) -> tuple[tuple[int, int, int, int], ...]:
    """(1, C, H, W) of each of the maps that a backbone's resolutions end with."""
    with torch.device("meta"):
        backbone = build_backbone(settings)
    sizes = zip(backbone.stage_channels, backbone.stage_sides, strict=True)
    return tuple((1, channels, side, side) for channels, side in sizes)


@once
def stem_shape(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """(1, C, H, W) of the maps that a backbone's stem ends with."""
    side, channels = settings["image_size"], settings["channels"]
    backbone = build_backbone(settings).to("meta").eval()
    maps = backbone.stem(torch.empty(1, channels, side, side, device="meta"))
    return tuple(maps.shape)


def flops_of(build: Callable[..., nn.Module], given: Sequence[Any], *shapes: Sequence[int]) -> int:
    """Operations of the way forward of `build(*given)`, counted as above, for inputs of these
    shapes. `given` is plain JSON, `build` a class or a function of a module: what is equal to what
    was asked before is not counted again, which takes a tenth of a second.
    """
    return _counted(build, json.dumps(given, sort_keys=True), tuple(map(tuple, shapes)))


@cache
def _counted(build: Callable[..., nn.Module], given: str, shapes: Sequence[Sequence[int]]) -> int:
    with torch.device("meta"):
        network = build(*json.loads(given)).to("meta").eval()
        images = [torch.empty(*shape) for shape in shapes]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*images)
    return counter.get_total_flops()
