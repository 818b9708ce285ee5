"""Energy, k-NN, Mahalanobis and ViM against their papers' formulas, as slow loops in float64."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, BackboneConfig
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.methods import METHODS, Method
from osr_core.methods.knn import kth_distance
from osr_core.methods.mahalanobis import whitening
from osr_core.methods.vim import principal_dimensions, residual_directions, vanishing_point

DIM, NUM_KNOWN = 6, 3
NAMES = ("energy", "knn", "mahalanobis", "vim")


class Pixels(Backbone):
    """An image's embedding is its pixels."""

    head_bias = True

    def __init__(self, dim: int) -> None:
        super().__init__(BackboneConfig(image_size=8, channels=1))
        self.dim = dim

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def drawn(num: int, dim: int = DIM, seed: int = 0) -> Tensor:
    """(num, dim) bytes, as one-row images hold them."""
    return torch.randint(256, (num, dim), generator=torch.Generator().manual_seed(seed)).byte()


def calibrated(name: str, rows: Tensor, labels: Tensor, **settings: object) -> Method:
    """A method with a random biased head, calibrated on rows (N, D) of bytes."""
    cls = METHODS[name]
    method = cls(Pixels(rows.shape[1]), NUM_KNOWN, cls.Config(**settings)).eval()
    head = method.get_submodule("head")
    assert isinstance(head, nn.Linear)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        head.weight.normal_(generator=generator)
        head.bias.normal_(generator=generator)
        method.calibrate(Batches(ImageSet(rows[:, None, None], labels), batch_size=7))
    return method


def scored(method: Method, rows: Tensor) -> list[float]:
    """Unknown scores of rows of bytes."""
    with torch.no_grad():
        return list(method(rows[:, None, None].float() / 255).unknown_score.tolist())


def linear(method: Method) -> tuple[np.ndarray, np.ndarray]:
    """The head's weight and bias in float64."""
    state = method.state_dict()
    return state["head.weight"].double().numpy(), state["head.bias"].double().numpy()


ROWS, LABELS = drawn(40), torch.arange(40) % NUM_KNOWN
TEST = drawn(9, seed=1)
TRAIN_Z, TEST_Z = (rows.double().numpy() / 255 for rows in (ROWS, TEST))


# -- energy ----------------------------------------------------------------------------------------


def test_energy_is_minus_the_log_of_the_sum_of_exponentials() -> None:
    """Image by image, class by class."""
    method = calibrated("energy", ROWS, LABELS)
    weight, bias = linear(method)
    expected = []
    for z in TEST_Z:
        logits = [float(weight[k] @ z + bias[k]) for k in range(NUM_KNOWN)]
        expected.append(-math.log(sum(math.exp(logit) for logit in logits)))
    assert scored(method, TEST) == pytest.approx(expected, abs=1e-5)


# -- k-NN ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [1, 3, 40, 50])
def test_knn_is_the_kth_smallest_distance_of_directions(neighbours: int) -> None:
    """With 50 of 40 images there are, the farthest."""
    method = calibrated("knn", ROWS, LABELS, neighbours=neighbours)
    expected = []
    for z in TEST_Z:
        u = z / math.sqrt(sum(v * v for v in z))
        distances = []
        for other in TRAIN_Z:
            v = other / math.sqrt(sum(x * x for x in other))
            distances.append(math.sqrt(sum((a - b) ** 2 for a, b in zip(u, v, strict=True))))
        expected.append(sorted(distances)[min(neighbours, len(distances)) - 1])
    assert scored(method, TEST) == pytest.approx(expected, abs=1e-6)


def test_a_small_distance_keeps_its_digits() -> None:
    """sqrt(2 - 2 u.v) in float32 gives 0 or 3.5e-4 for directions 1e-4 apart."""
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    near = torch.tensor([[math.cos(1e-4), math.sin(1e-4)]])
    assert float(kth_distance(near, bank, 1)) == pytest.approx(1e-4, rel=1e-3)
    assert float(kth_distance(near, bank, 2)) == pytest.approx(math.sqrt(2), rel=1e-3)


def test_the_kth_of_near_neighbours_is_found_among_them() -> None:
    """Products in float32 order directions within 1e-3 by chance: distances were up to 4 % off."""
    draws = torch.Generator().manual_seed(0)
    bank = F.normalize(1 + 2e-3 * torch.randn(300, 16, generator=draws), dim=1)
    found = kth_distance(bank, bank, 50)
    expected = (bank.double()[:, None] - bank.double()).norm(dim=2).sort(1).values[:, 49]
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


def test_the_bank_is_loaded_at_the_size_that_it_was_left_with() -> None:
    """The score stage builds the method from settings, which do not say how many images there were.

    Strictly: weights without a bank are those of no calibration.
    """
    saved = calibrated("knn", ROWS, LABELS, neighbours=3)
    fresh = METHODS["knn"](Pixels(DIM), NUM_KNOWN, METHODS["knn"].Config(neighbours=3)).eval()
    fresh.load_state_dict(saved.state_dict())
    assert fresh.state_dict()["bank"].shape == (40, DIM)
    assert scored(fresh, TEST) == scored(saved, TEST)
    without = {key: value for key, value in saved.state_dict().items() if key != "bank"}
    with pytest.raises(RuntimeError, match="bank"):
        fresh.load_state_dict(without)


# -- Mahalanobis -----------------------------------------------------------------------------------


def naive_mahalanobis(train: np.ndarray, labels: Tensor, test: np.ndarray) -> list[float]:
    """Means, then the covariance as a sum of outer products, then scipy's pseudo-inverse."""
    means = [train[(labels == k).numpy()].mean(0) for k in range(NUM_KNOWN)]
    covariance = np.zeros((train.shape[1], train.shape[1]))
    for z, k in zip(train, labels.tolist(), strict=True):
        covariance += np.outer(z - means[k], z - means[k]) / len(train)
    inverse = scipy.linalg.pinvh(covariance, rtol=1e-10)
    return [min(float((z - mean) @ inverse @ (z - mean)) for mean in means) for z in test]


def test_mahalanobis_is_the_least_quadratic_form() -> None:
    """With a covariance of full rank."""
    method = calibrated("mahalanobis", ROWS, LABELS)
    expected = naive_mahalanobis(TRAIN_Z, LABELS, TEST_Z)
    assert scored(method, TEST) == pytest.approx(expected, rel=1e-4)


def test_mahalanobis_with_fewer_images_than_dimensions() -> None:
    """20 images of 40 dimensions: directions without variance do not count."""
    rows, labels, test = drawn(20, 40), torch.arange(20) % NUM_KNOWN, drawn(5, 40, seed=1)
    method = calibrated("mahalanobis", rows, labels)
    z, other = (r.double().numpy() / 255 for r in (rows, test))
    assert scored(method, test) == pytest.approx(naive_mahalanobis(z, labels, other), rel=1e-4)


def test_whitening_by_hand() -> None:
    """Variances 4, 1 and 0 become 1, 1 and 0."""
    centred = torch.tensor([[2.0, 1, 0], [-2, 1, 0], [2, -1, 0], [-2, -1, 0]]).double()
    white = centred @ whitening(centred)
    covariance = white.T @ white / 4
    assert torch.linalg.eigvalsh(covariance).tolist() == pytest.approx([0, 1, 1])
    inverse = whitening(centred) @ whitening(centred).T
    torch.testing.assert_close(inverse, torch.diag(torch.tensor([0.25, 1, 0]).double()))
    assert torch.equal(whitening(torch.zeros(3, 2).double()), torch.zeros(2, 2).double())


# -- ViM -------------------------------------------------------------------------------------------


def test_vim_is_the_log_odds_of_the_virtual_class() -> None:
    """From o, the projector beside the d = D / 2 principal axes, and a, each by its definition."""
    method = calibrated("vim", ROWS, LABELS)
    weight, bias = linear(method)
    origin = -scipy.linalg.pinv(weight) @ bias
    scatter = sum(np.outer(z - origin, z - origin) for z in TRAIN_Z)
    _, axes = scipy.linalg.eigh(scatter)
    principal = axes[:, -(DIM // 2) :]
    projector = np.eye(DIM) - principal @ principal.T

    def residual(z: np.ndarray) -> float:
        return float(np.sqrt(((projector @ (z - origin)) ** 2).sum()))

    def logits(z: np.ndarray) -> list[float]:
        return [float(row @ z + b) for row, b in zip(weight, bias, strict=True)]

    scale = sum(max(logits(z)) for z in TRAIN_Z) / sum(residual(z) for z in TRAIN_Z)
    expected = []
    for z in TEST_Z:
        virtual = math.exp(scale * residual(z))
        p_0 = virtual / (virtual + sum(math.exp(logit) for logit in logits(z)))
        expected.append(math.log(p_0 / (1 - p_0)))
    assert scored(method, TEST) == pytest.approx(expected, abs=1e-4)


def test_all_logits_vanish_at_the_origin() -> None:
    """W o + b = 0, and no shorter vector does it: o lies in the span of W's rows."""
    weight = torch.tensor([[2.0, 0, 0], [0, 0, 4]]).double()
    origin = vanishing_point(weight, torch.tensor([1.0, -2]).double())
    assert origin.tolist() == pytest.approx([-0.5, 0, 0.5])


def test_residual_directions_by_hand() -> None:
    """Squares sum to 18, 8 and 2 along the axes: beside the largest, the other two are left."""
    centred = torch.diag(torch.tensor([3.0, 1, 2]).double()).repeat(2, 1)
    left = residual_directions(centred, 1)
    expected = torch.diag(torch.tensor([0.0, 1, 1]).double())
    torch.testing.assert_close(left @ left.T, expected)
    assert residual_directions(centred, 2).abs()[:, 0].tolist() == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(
    ("dim", "principal"), [(2048, 1000), (1024, 512), (768, 512), (512, 256), (128, 64), (1, 0)]
)
def test_principal_dimensions_are_the_papers_where_they_leave_anything(
    dim: int, principal: int
) -> None:
    """ResNet-50 and larger 1000, else 512; half of a small embedding."""
    assert principal_dimensions(dim) == principal


def test_vim_without_a_residual_is_energy() -> None:
    """Black training images at an origin of zero leave nothing to scale by; no division by it."""
    cls = METHODS["vim"]
    method = cls(Pixels(DIM), NUM_KNOWN, cls.Config()).eval()
    with torch.no_grad():
        method.get_parameter("head.bias").zero_()
        black = ImageSet(torch.zeros(6, 1, 1, DIM, dtype=torch.uint8), LABELS[:6])
        method.calibrate(Batches(black, batch_size=4))
        prediction = method(TEST[:, None, None].float() / 255)
    torch.testing.assert_close(prediction.unknown_score, -prediction.logits.logsumexp(1))


def test_vim_s_origin_is_zero_where_the_classifier_has_a_hidden_layer() -> None:
    """Its logits vanish at no one point; PROSER's network has such a classifier."""

    class Hidden(Pixels):
        def classifier(self, num_known: int) -> nn.Module:
            return nn.Sequential(nn.Linear(self.dim, 4), nn.ReLU(), nn.Linear(4, num_known))

    cls = METHODS["vim"]
    method = cls(Hidden(DIM), NUM_KNOWN, cls.Config()).eval()
    with torch.no_grad():
        method.calibrate(Batches(ImageSet(ROWS[:, None, None], LABELS), batch_size=7))
    assert not method.get_buffer("origin").any()
    assert all(math.isfinite(score) for score in scored(method, TEST))


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_class_is_the_classifiers(name: str) -> None:
    """A score decides whether, not what."""
    method = calibrated(name, ROWS, LABELS)
    weight, bias = linear(method)
    with torch.no_grad():
        logits = method(TEST[:, None, None].float() / 255).logits
    assert logits.numpy() == pytest.approx(TEST_Z @ weight.T + bias, abs=1e-5)


@pytest.mark.parametrize("name", NAMES[1:])
def test_calibration_refuses_unknown_labels(name: str) -> None:
    """Unknown classes do not exist before scoring."""
    with pytest.raises(ValueError, match="only known classes"):
        calibrated(name, ROWS, LABELS - 1)
