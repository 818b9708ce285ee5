"""Tensors on their way to a GPU, for which nobody waits."""

from functools import cache

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU's tensor on a device.

    It goes to a GPU from locked memory, once that has come to it; a copy from other memory would
    keep this process until all that was told the GPU before is done.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(len(values),) float32, sent to a device once."""
    return torch.tensor(values, dtype=torch.float32, device=device)
