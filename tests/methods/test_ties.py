"""Scores keep their order where images are very like the known ones: rounding ties none of them."""

import pytest
import torch
from pixels import Pixels, method_on_pixels
from torch import Tensor

from osr_core.methods import Method
from osr_core.methods.center import Center
from osr_core.methods.cpn import CPN
from osr_core.methods.osrci import OSRCI
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.rpl import RPL
from osr_core.methods.rplpp import RPLPlusPlus
from osr_core.methods.softmax import Softmax

STEPS = 40  # more than 25: there torch takes distances from products, unless told otherwise


def ever_farther(start: list[float], by: float) -> Tensor:
    """(STEPS, 1, 1, 2) images that leave `start` along the second pixel."""
    images = torch.tensor(start).repeat(STEPS, 1)
    images[:, 1] += by * torch.arange(STEPS)
    return images[:, None, None]


def test_images_near_a_centre_are_told_apart() -> None:
    """|z|^2 + |c|^2 - 2 z c of lengths of 100 is rounding below a distance of 0.03."""
    method = method_on_pixels(Center, 2)
    method.centers.copy_(torch.tensor([[100.0, 0.0], [0.0, 100.0]]))
    scores = method(ever_farther([100.0, 0.0], by=1e-3)).unknown_score
    torch.testing.assert_close(scores, 1e-3 * torch.arange(STEPS))


@pytest.mark.parametrize("distance", ["attention", "nearest"])
def test_embeddings_along_a_prototype_are_told_apart(distance: str) -> None:
    """1 - cos of an angle a is a^2 / 2, and 0 in float32 for angles below 3e-4."""
    method = method_on_pixels(PMAL, 2, distance=distance)
    method.prototypes.copy_(torch.eye(2)[:, None].expand_as(method.prototypes))
    scores = method(ever_farther([1.0, 0.0], by=1e-6)).unknown_score
    angles = 1e-6 * torch.arange(STEPS)
    torch.testing.assert_close(scores, angles.square() / 2, rtol=1e-2, atol=1e-15)


@pytest.mark.parametrize("rejection", ["distance", "probability"])
@pytest.mark.parametrize("cls", [CPN, RPL, RPLPlusPlus])
def test_images_far_from_all_points_are_told_apart(cls: type[CPN | RPL], rejection: str) -> None:
    """Of distances near 1e5 float32 keeps 0.01: of 2,000 images RPL++ tied 217, CPN 238."""
    torch.manual_seed(0)
    method = cls(Pixels(4), 3, cls.Config(rejection=rejection)).eval().requires_grad_(False)
    images = 1e3 * torch.randn(2000, 4)
    scores = method.predict(images).unknown_score
    exact = method.double().predict(images.double()).unknown_score
    assert len(scores.unique()) == len(exact.unique())
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("offset", [30.0, 1000.0])
@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (Softmax, {}),
        (OSRCI, {}),
        (Center, {"rejection": "probability"}),
        (PMAL, {"rejection": "probability"}),
    ],
)
def test_what_all_logits_share_ties_no_images(
    cls: type[Method], settings: dict[str, str], offset: float
) -> None:
    """It cancels, but takes bits: of 5,000 images, 20 classes, float32 tied 16 to 23 at 30."""
    logits = offset + 4 * torch.randn(5000, 20, generator=torch.Generator().manual_seed(0))
    method = method_on_pixels(cls, 20, **settings)
    scores = method.predict(logits).unknown_score
    exact = method.double().predict(logits.double()).unknown_score
    assert torch.equal(scores, exact.float())
