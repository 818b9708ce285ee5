"""How many floating point operations a network takes for one image."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
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
    with torch.device("meta"):
        backbone = build_backbone(values).to("meta").eval()
        image = torch.empty(1, values["channels"], values["image_size"], values["image_size"])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        backbone(image)
    return counter.get_total_flops()
