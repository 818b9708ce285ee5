"""OpenMax beyond its formulas: what it is fitted to, and how it scores."""

from collections.abc import Callable

import pytest
import torch
from pixels import images_of, method_on_pixels
from torch import Tensor

from osr_core.methods.openmax import (
    STEP_SHAPE,
    OpenMax,
    distances_to,
    osrci_score,
    paper_score,
    weibull_hazard,
)

ROWS = [[200, 100, 0], [100, 0, 0], [150, 10, 10], [50, 100, 20], [60, 10, 30], [30, 20, 10]]
LABELS = [0, 0, 0, 1, 1, 2]  # the fifth and the last one are taken for class 0


def calibrated(**settings: object) -> OpenMax:
    """OpenMax fitted to the rows above, by Euclidean distances unless said otherwise."""
    method = method_on_pixels(OpenMax, 3, **{"distance": "euclidean", **settings})
    assert isinstance(method, OpenMax)
    with torch.no_grad():
        method.calibrate(images_of(ROWS, LABELS))
    return method


def test_means_are_of_correct_images() -> None:
    """A class that is never right is described by all its images instead of by none."""
    expected = torch.tensor([[150, 110 / 3, 10 / 3], [50, 100, 20], [30, 20, 10]]) / 255
    torch.testing.assert_close(calibrated().means, expected.double())


def test_a_class_with_one_correct_image_gets_a_step() -> None:
    """At its own distance, zero; the others have fewer than `tail` and use what they have."""
    method = calibrated()
    assert method.shape[1] == method.shape[2] == STEP_SHAPE
    assert method.shift[1] == 0
    assert 0 < float(method.shape[0]) < STEP_SHAPE
    own = distances_to(torch.tensor(ROWS[:3]).double() / 255, method.means[:1], "euclidean")
    assert float(method.shift[0]) == pytest.approx(float(own.min()), abs=1e-6)


def test_tail_takes_the_largest_distances() -> None:
    """With a tail of two, the nearest image of three does not matter."""
    method = calibrated(tail=2)
    own = distances_to(torch.tensor(ROWS[:3]).double() / 255, method.means[:1], "euclidean")
    assert float(method.shift[0]) == pytest.approx(float(own[:, 0].sort().values[1]), abs=1e-6)


@pytest.mark.parametrize("bias", [0.0, -5.0])
@pytest.mark.parametrize(("rule", "formula"), [("paper", paper_score), ("osrci", osrci_score)])
def test_the_rule_is_applied_to_the_logits_as_they_are(
    rule: str, formula: Callable[..., Tensor], bias: float
) -> None:
    """Negative ones too: subtracting each image's lowest cost ten points of AUROC."""
    method = calibrated(rule=rule)
    method.head.bias = torch.nn.Parameter(torch.full((3,), bias), requires_grad=False)
    images = torch.rand(9, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    logits = images.flatten(1).double() + bias
    distances = distances_to(logits, method.means, "euclidean")
    hazard = weibull_hazard(distances, method.shape, method.scale, method.shift)
    paper = rule == "paper"
    expected = formula(logits, 1 - (-hazard).exp(), 10) if paper else formula(logits, hazard)
    torch.testing.assert_close(method(images).unknown_score, expected.float())


def test_the_paper_s_own_settings_are_the_defaults() -> None:
    """Known unknowns chose none of them: Bendale and Boult's rule, tail, ranks and distance."""
    config = OpenMax.Config()
    assert (config.rule, config.tail, config.alpha) == ("paper", 20, 10)
    assert config.distance == "eucos"


def test_the_class_is_the_classifiers() -> None:
    """Recalibration decides whether, not what."""
    images = torch.rand(9, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(calibrated()(images).logits, images.flatten(1))


def test_alpha_needs_no_new_calibration() -> None:
    """It is read by the score stage, which builds the method anew around the same buffers."""
    one, three = calibrated(alpha=1), calibrated(alpha=3)
    for first, second in zip(one.state_dict().values(), three.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    images = torch.tensor([[[[0.9, 0.8, 0.7]]]])
    assert float(one(images).unknown_score) < float(three(images).unknown_score)
