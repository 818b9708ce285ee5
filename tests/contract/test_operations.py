"""What a step computes, from which `osr plan` says what a sweep costs, for every learner."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, Runs, context, trial
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from osr_core.backbones import resolve_backbone
from osr_core.backbones.flops import forward_flops
from osr_core.data.batches import Batches
from osr_core.methods import learner_named

NARROW = {"name": "osrci", "width": 0.25}
# Learners, the methods that they are trained for, and widths in proportion.
OF: list[tuple[str, str, dict[str, Any]]] = [
    ("softmax", "softmax", {}),
    ("crosr", "crosr", {}),
    ("c2ae", "c2ae", {"decoder_width": 0.25}),
    ("cgdl", "cgdl", {}),
    ("openhybrid", "openhybrid", {}),
    ("openhybrid", "openhybrid", {"flow": "residual"}),
    ("cssr", "cssr", {}),
    ("medaf", "medaf", {}),
    ("gan", "osrci", {"gan_width": 0.25}),
]


class Counter(TorchDispatchMode):
    """Adds up operations as torch's own counter does, which cannot go back twice."""

    total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Compute, and count what has a formula."""
        given = kwargs or {}
        out = func(*args, **given)
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.total += formula(*args, **given, out_val=out)
        return out


@pytest.mark.parametrize(("name", "method", "settings"), OF)
def test_a_step_computes_what_is_counted(
    name: str, method: str, settings: dict[str, Any], runs: Runs
) -> None:
    """Passes of the backbone and what is said to come besides, to within 2 %: a first layer's
    images need no gradient, not all maps are as large forward as back, and what is done once for a
    batch, as the way back from singular values, is little for 64 images.
    """
    asked = dataclasses.replace(
        trial(method, settings=settings),
        backbone=resolve_backbone(NARROW, image_size=16, channels=1),
    )
    stages = [s for s in asked.score.walk() if s.config["method"]["name"] == name]
    fit = next(stage for stage in stages if stage.kind.name == "fit")
    learner = learner_named(name).fresh(fit.config, NUM_KNOWN, torch.device("cpu"))
    train = Batches(context({}).train(fit.config), batch_size=64)
    if "classifier" in fit.inputs:
        own = fit.inputs["classifier"].config
        classifier = learner_named("softmax").fresh(own, NUM_KNOWN, torch.device("cpu"))
        learner.prepare(train, {"classifier": classifier.state_dict()})
    optimizers = learner.train().optimizers(TRAINING)
    with Counter() as counter:
        learner.train_step(next(train.ordered(64)), optimizers)
    passes = 3 * learner.passes * 64 * forward_flops(fit.config["backbone"])
    besides = learner.further_flops(fit, 64) / fit.config["training"]["epochs"]
    assert counter.total == pytest.approx(passes + besides, rel=0.02)
