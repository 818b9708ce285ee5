"""Stages that use a network, and do not train it, multiply in whole float32 on every device."""

import pytest
import torch
from blobs import TRAINING, Runs, context, shortened, trial
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from osr_core.execution import run_stage

SHORT = shortened(TRAINING, epochs=1)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("pmal", {"pmal.mine", "score"}),
        ("g_openmax", {"gan.generate", "calibrate", "score"}),
    ],
)
def test_no_stage_but_a_fit_rounds_to_tf32(name: str, kinds: set[str], runs: Runs) -> None:
    """PyTorch's default on CUDA keeps ten of the 23 bits in convolutions; mining and the making of
    images choose by what such a network says.
    """
    seen: dict[str, set[bool]] = {}
    for stage in trial(name, SHORT).score.walk():
        inputs = context(runs.inputs(stage))
        allowed = seen.setdefault(str(stage.kind), set())

        def note(module: nn.Module, *_: object, allowed: set[bool] = allowed) -> None:
            if isinstance(module, nn.Conv2d):
                allowed.add(torch.backends.cudnn.allow_tf32)

        hook = register_module_forward_hook(note)
        try:
            run_stage(stage.kind.name, stage.config, inputs)
        finally:
            hook.remove()
    assert True in seen.pop("fit")
    assert seen == {kind: {False} for kind in kinds}
