"""What numbers a network computes with: short ones where it learns, whole ones where it is used.

training            the backbone in bfloat16 on CUDA, everything else in float32
validation          float32, as the device multiplies it (convolutions in TF32 on CUDA)
calibration, score  float32 throughout
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

TRAINED_IN = {"cuda": torch.bfloat16}  # by the type of device; others train in float32


def backbone_precision(device: torch.device, *, training: bool) -> AbstractContextManager[object]:
    """In which the backbone is to run."""
    short = TRAINED_IN.get(device.type) if training else None
    return torch.autocast(device.type, short, enabled=short is not None)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Convolutions on CUDA are not rounded to TF32's ten bits, as they are by default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
