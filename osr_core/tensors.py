"""Named tensors and a JSON header as bytes (safetensors): weights, prototypes, checkpoints.

No pickle is written or read.
"""

import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor


def to_bytes(tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None) -> bytes:
    """Equal tensors and headers give equal bytes."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"header": json.dumps(header or {}, sort_keys=True)}
    return bytes(safetensors.torch.save(contiguous, metadata))


def from_bytes(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, on the CPU, and the header."""
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    return safetensors.torch.load(content), json.loads(metadata.get("header", "{}"))
