"""How much of a card's peak a loop reaches."""

from collections.abc import Mapping
from typing import Any

import torch

from osr_core.backbones.flops import forward_flops

FORWARD_AND_BACK = 3  # in forward passes
BF16_TFLOPS = {
    "H200": 989.4,
    "H100": 989.4,
    "A100": 311.9,
    "L4": 121.0,
}  # dense, by NVIDIA's sheets
OTHERS = {"PCIe", "NVL"}  # cards of these names, and slower


def of_peak(images_per_s: float, network: Mapping[str, Any]) -> dict[str, float]:
    """TFLOP/s of training at a rate, and its share of the card's bfloat16 peak where that is known.

    Nothing on a CPU, of which no peak is known here.
    """
    if not torch.cuda.is_available():
        return {}
    tflops = images_per_s * FORWARD_AND_BACK * forward_flops(network) / 1e12
    words = {*torch.cuda.get_device_name(0).replace("-", " ").split()}
    peaks = [peak for card, peak in BF16_TFLOPS.items() if card in words and not OTHERS & words]
    peak = peaks[0] if peaks else None
    share = {} if peak is None else {"share_of_peak": round(tflops / peak, 4)}
    return {"tflops": round(tflops, 2), **share}
