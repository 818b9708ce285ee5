"""What somebody's method may not return: told by name and shape, before hours of training."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.errors import TrainingError
from osr_core.execution import refuse_lost_logits
from osr_core.fit import try_out
from osr_core.methods.base import Prediction
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Training
from osr_core.training import Fit
from tests.plain import NoCheckpoint

SCHEDULE = Training(epochs=1, batch_size=4)
IMAGES = ImageSet(torch.randint(256, (8, 1, 16, 16), dtype=torch.uint8), torch.arange(8) % 2)


def small(cls: type[Softmax]) -> tuple[Softmax, Batches]:
    """A method of two classes, and images of them."""
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=1)
    return cls(build_backbone(network), 2, cls.Config()), Batches(IMAGES, batch_size=4)


def without(part: str, change: Callable[[torch.Tensor], object]) -> Callable[[Any], object]:
    """A prediction of which a part is changed."""
    return lambda said: said._replace(**{part: change(getattr(said, part))})


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda said: None, "it is a NoneType"),
        (tuple, "it is a tuple"),
        (without("logits", lambda logits: logits[:, :-1]), r"logits is of shape \(2, 1\)"),
        (without("unknown_score", lambda s: s[:, None]), r"unknown_score is of shape \(2, 1\)"),
        (without("embedding", lambda embedding: None), "embedding is NoneType"),
    ],
)
def test_a_wrong_prediction_is_told_before_training(changed: Any, problem: str) -> None:
    """Of a method that must be calibrated first, before its training images are looked at."""

    class Wrong(Softmax):
        def predict(self, embedding: torch.Tensor) -> Prediction:
            said: Prediction = changed(super().predict(embedding))
            return said

    class Calibrated(Wrong):
        def calibrate(self, train: Batches) -> None:
            """So that scoring rests on it."""

    told = r"method 'softmax' says of \d images must be a Prediction with logits \(\d, 2\), .*"
    with pytest.raises(TrainingError, match=told + problem):
        try_out(*small(Wrong))
    method, train = small(Calibrated)
    try_out(method, train)
    with pytest.raises(TrainingError, match=told + problem.replace("(2,", "(8,")):
        refuse_lost_logits(method, train, SCHEDULE)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda logits, label: F.cross_entropy(logits, label), "return a Tensor, not a dict"),
        (lambda logits, label: None, "return a NoneType"),
        (
            lambda logits, label: {"ce": F.cross_entropy(logits, label)},
            r"have the keys ce, not a scalar tensor for each of its `terms` \(cross_entropy\)",
        ),
        (
            lambda logits, label: {
                "cross_entropy": F.cross_entropy(logits, label, reduction="none")
            },
            r"have terms of shape cross_entropy \(4,\)",
        ),
    ],
)
def test_wrong_losses_are_told_in_the_first_step(changed: Any, problem: str) -> None:
    """Torch would speak of sparse layouts, and other keys would go unnoticed."""

    class Wrong(Softmax):
        def losses_at(self, embedding: torch.Tensor, label: torch.Tensor) -> dict[str, Any]:
            losses: dict[str, Any] = changed(self.head(embedding), label)
            return losses

    method, train = small(Wrong)
    with pytest.raises(TrainingError, match=f"the losses of method 'softmax' {problem}"):
        Fit(method, train, None, SCHEDULE, seed=1).run(NoCheckpoint(), lambda epoch, row: None)
