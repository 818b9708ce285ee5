"""Copies from the CPU to a device that do not wait for a GPU."""

from functools import cache

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to a device.

    From pinned memory the copy is queued behind what a GPU has still to do; from pageable memory,
    to which torch takes what is not contiguous first, this process would wait for all of that.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(len(values),) float32, copied to a device once."""
    return torch.tensor(values, dtype=torch.float32, device=device)
