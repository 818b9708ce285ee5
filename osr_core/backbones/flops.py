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


def flops_of(build: Callable[[], nn.Module], shape: Sequence[int]) -> int:
    """Operations of a built network's way forward, counted as above, for one input of a shape."""
    with torch.device("meta"):
        network = build().to("meta").eval()
        given = torch.empty(*shape)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(given)
    return counter.get_total_flops()
