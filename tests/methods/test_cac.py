"""CAC beyond its formulas: anchors before scoring, ablations, initialisation."""

import pytest
import torch
from pixels import Pixels, images_of, method_on_pixels

from osr_core.errors import ConfigError
from osr_core.methods.cac import CAC

ROWS = [[200, 100, 0], [100, 0, 0], [50, 100, 20], [0, 255, 5], [30, 20, 10]]
LABELS = [0, 0, 1, 1, 2]  # the last one is taken for class 0


def test_anchors_become_means_of_correct_images() -> None:
    """In the order of classes; a class that is never right keeps its anchor."""
    method = method_on_pixels(CAC, 3)
    with torch.no_grad():
        method.calibrate(images_of(ROWS, LABELS))
    expected = torch.tensor([[150, 50, 0], [25, 177.5, 12.5], [0, 0, 2550]]) / 255
    torch.testing.assert_close(method.anchors, expected.double())


def test_mirrored_copies_count_where_images_may_be_mirrored() -> None:
    """Each copy on its own: right as it is, wrong in the mirror, or the other way round."""
    method = method_on_pixels(CAC, 3)
    with torch.no_grad():
        method.calibrate(images_of(ROWS, LABELS, mirrored=True))
    class_1 = torch.tensor([[50, 100, 20], [20, 100, 50], [0, 255, 5], [5, 255, 0]])
    expected = torch.stack(
        [
            torch.tensor([150.0, 50, 0]),
            class_1.double().mean(0),
            torch.tensor([10.0, 20, 30]),  # only its mirrored copy is taken for class 2
        ]
    )
    torch.testing.assert_close(method.anchors, expected.double() / 255)


def test_prediction_is_the_nearest_anchor() -> None:
    """And the score is small on an anchor, larger between anchors."""
    method = method_on_pixels(CAC, 2, alpha=1.0)
    on_second, between = torch.tensor([[[[0.0, 1.0]]], [[[0.5, 0.5]]]])
    prediction = method(torch.stack([on_second, between]))
    assert int(prediction.logits[0].argmax()) == 1
    assert float(prediction.unknown_score[0]) == 0
    assert float(prediction.unknown_score[1]) == pytest.approx(0.5**0.5 / 2)
    torch.testing.assert_close(prediction.unknown_score, -prediction.logits.amax(1))


def test_images_near_distant_anchors_are_never_tied() -> None:
    """1 - softmin rounds to 0 where the others are farther by 37, and all these scored 0."""
    method = method_on_pixels(CAC, 2, alpha=4000.0)
    off = torch.linspace(0, 2000, 81).double()[1:-1]
    images = torch.stack([4000 - off, torch.zeros_like(off)], 1).float()[:, None, None]
    prediction = method(images)
    assert (prediction.unknown_score.diff() > 0).all()
    assert not prediction.logits.argmax(1).any()


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, (1.0, 0.1)),
        ({"anchor_weight": 0.5}, (1.0, 0.5)),
        ({"tuplet": False, "anchor_weight": 0.5}, (0.0, 1.0)),
        ({"anchor": False}, (1.0, 0.0)),
    ],
)
def test_ablations_weigh_the_terms(
    settings: dict[str, float], weights: tuple[float, float]
) -> None:
    """By what reaches the embedding: the gradient is the weighted sum of both terms' gradients."""
    embedding = torch.tensor([[0.3, -0.2], [0.1, 0.4]], requires_grad=True)
    label = torch.tensor([0, 1])

    def gradient(**changes: float) -> torch.Tensor:
        method = method_on_pixels(CAC, 2, **changes)
        terms = method.losses_at(embedding, label)
        assert set(terms) == {"tuplet", "anchor"}
        return torch.autograd.grad(sum(terms.values()), embedding)[0]

    tuplet = gradient(anchor=False)
    anchor = gradient(tuplet=False)
    torch.testing.assert_close(gradient(**settings), weights[0] * tuplet + weights[1] * anchor)


def test_a_term_that_is_off_is_still_measured() -> None:
    """The published recipe keeps the epoch of the lowest anchor term in the ablations too."""
    embedding, label = torch.tensor([[0.3, -0.2]]), torch.tensor([0])
    on = method_on_pixels(CAC, 2).losses_at(embedding, label)
    off = method_on_pixels(CAC, 2, anchor=False).losses_at(embedding, label)
    assert float(off["anchor"]) == float(on["anchor"]) > 0


def test_both_terms_off_is_refused() -> None:
    """There would be nothing to learn from."""
    with pytest.raises(ConfigError, match="must not both be false"):
        CAC.Config(tuplet=False, anchor=False)


def test_initial_head_and_anchors() -> None:
    """As in the authors' code: N(0, 0.01) weights, zero bias, anchors alpha e_j."""
    torch.manual_seed(0)
    method = CAC(Pixels(500), 20, CAC.Config(alpha=4.0))
    assert float(method.head.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert not method.head.bias.any()
    assert torch.equal(method.anchors, 4 * torch.eye(20).double())
