"""How many floating point operations a network takes for one image."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from osr_core.backbones import build_backbone


def forward_flops(settings: Mapping[str, Any]) -> int:
    """Operations of one image's way to its embedding, a multiplication with its addition as two.

    Convolutions and matrix products count, normalisation and activations do not. `settings` are
    what `resolve_backbone` gave. Nothing is computed: tensors have shapes and no memory.
    """
    return _counted(json.dumps(settings, sort_keys=True))


@cache
def _counted(settings: str) -> int:
    values = json.loads(settings)
    side = values["image_size"]
    return flops_of(lambda: build_backbone(values), (1, values["channels"], side, side))


def stage_shapes(settings: Mapping[str, Any]) -> list[tuple[int, int, int, int]]:
    """(1, C, H, W) of each of the maps that a backbone's resolutions end with."""
    with torch.device("meta"):
        backbone = build_backbone(settings)
    sizes = zip(backbone.stage_channels, backbone.stage_sides, strict=True)
    return [(1, channels, side, side) for channels, side in sizes]


def stem_shape(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """(1, C, H, W) of the maps that a backbone's stem ends with."""
    side, channels = settings["image_size"], settings["channels"]
    backbone = build_backbone(settings).to("meta").eval()
    maps = backbone.stem(torch.empty(1, channels, side, side, device="meta"))
    return tuple(maps.shape)


def flops_of(build: Callable[[], nn.Module], *shapes: Sequence[int]) -> int:
    """Operations of a built network's way forward, counted as above, for inputs of these shapes."""
    with torch.device("meta"):
        network = build().to("meta").eval()
        given = [torch.empty(*shape) for shape in shapes]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*given)
    return counter.get_total_flops()
