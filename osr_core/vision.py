"""The only door to torchvision: `from osr_core.vision import torchvision`.

torchvision's published wheel is a CUDA build. Beside a CPU build of torch its compiled library does
not load, and the import then fails because two operators, `nms` and `qnms`, do not exist. Datasets,
transforms and models use neither: declaring their signatures (those of torchvision/csrc/ops) is
enough. Calling one still fails. Beside a CUDA build of torch nothing is done here.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def declare_missing_operators() -> list[str]:
    """Declare the operators that torchvision's import asks for, where they cannot exist.

    Returns their names: none where torchvision's own operators are there, can be loaded, or ought
    to be because torch has CUDA; an import that fails then says so in torchvision's own words.
    """
    missing = [name for name in OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if torch.version.cuda is not None or not missing or _own_library_loads():
        return []
    for name in missing:
        torch.library.define(f"torchvision::{name}", SIGNATURE)
    return missing


def _own_library_loads() -> bool:
    spec = find_spec("torchvision")  # finds the package without running it
    if spec is None or spec.origin is None:
        return False
    for path in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
        except OSError:
            continue
        return True
    return False


declare_missing_operators()

import torchvision  # noqa: E402

__all__ = ["torchvision"]
