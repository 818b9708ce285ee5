"""The centre loss against Wen et al. written as loops in float64."""

import math

import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data import BENCHMARKS
from osr_core.data.batches import Batch
from osr_core.methods.center import Center, center_loss, moved_centers
from osr_core.recipes import Training
from osr_core.training import drop_epochs

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
CENTERS = torch.randn(4, 4, generator=GENERATOR, dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1, 1, 0])


def center(num_known: int = 4, **settings: object) -> Center:
    """Centre loss on the network of the OSR tables, in float64."""
    network = {"name": "osrci", "head": "gap", "width": settings.pop("width", 1.0)}
    backbone = build_backbone(resolve_backbone(network, image_size=32, channels=3))
    return Center(backbone, num_known, Center.Config(**settings)).double()


def squared(z: list[float], point: list[float]) -> float:
    """||z - c||^2."""
    return sum((a - b) ** 2 for a, b in zip(z, point, strict=True))


def test_loss_equals_the_formula() -> None:
    """The mean of half the squared distance to the centre of the image's class."""
    total = 0.0
    for z, y in zip(EMBEDDING.tolist(), LABEL.tolist(), strict=True):
        total += squared(z, CENTERS[y].tolist()) / 2
    loss = center_loss(EMBEDDING, CENTERS, LABEL)
    assert float(loss) == pytest.approx(total / 5, rel=1e-12)


def test_centres_move_by_the_formula() -> None:
    """c_k - alpha sum_i (c_k - z_i) / (1 + n_k); class 3 is not in the batch and stays."""
    moved = moved_centers(CENTERS, EMBEDDING, LABEL, 0.5)
    for k in range(4):
        own = [z for z, y in zip(EMBEDDING.tolist(), LABEL.tolist(), strict=True) if y == k]
        for axis, c in enumerate(CENTERS[k].tolist()):
            step = 0.5 * sum(c - z[axis] for z in own) / (1 + len(own))
            assert float(moved[k, axis]) == pytest.approx(c - step, rel=1e-12)
    assert torch.equal(moved[3], CENTERS[3])


def test_centres_move_by_hand() -> None:
    """From 0 towards three images at 8: 0.5 * 24 / (1 + 3) = 3."""
    z = torch.full((3, 1), 8.0)
    moved = moved_centers(torch.zeros(2, 1), z, torch.tensor([0, 0, 0]), 0.5)
    assert moved.tolist() == [[3.0], [0.0]]


def test_gradient() -> None:
    """Against finite differences; centres have none, they follow their own rule."""
    z = EMBEDDING.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: center_loss(x, CENTERS, LABEL), z)
    assert not center(width=0.1).centers.requires_grad


@pytest.mark.parametrize("placement", ["embedding", "logits"])
def test_a_step_moves_centres_to_where_images_were(placement: str) -> None:
    """By the embeddings that the losses saw: not by those after the update, nor others' dropout."""
    method = center(placement=placement, width=0.1, center_rate=1.0).float()
    seen = []
    method.backbone.register_forward_hook(lambda _module, _args, output: seen.append(output))
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    label = torch.tensor([0, 0, 1, 1, 1, 2])
    centers, weight = method.centers.clone(), method.head.weight.detach().clone()
    optimizers = method.optimizers(Training(lr=0.1))
    terms = method.train_step(Batch(images, label, label), optimizers)
    embedding = seen.pop().detach()
    assert not seen  # one pass
    z = embedding @ weight.T if placement == "logits" else embedding
    torch.testing.assert_close(method.centers, moved_centers(centers, z, label, 1.0))
    assert terms["center"].item() == pytest.approx(0.003 * center_loss(z, centers, label).item())
    assert not torch.equal(method.head.weight, weight)


def test_distance_score_is_that_of_the_nearest_centre() -> None:
    """By hand: a 3-4-5 triangle. The class is the classifier's all the same."""
    method = center(2, width=0.1)
    method.centers.zero_()
    method.centers[1] = 100
    z = torch.zeros(1, method.backbone.dim).double()
    z[0, 0], z[0, 1] = 3, 4
    prediction = method.predict(z)
    assert prediction.unknown_score.item() == pytest.approx(5)
    torch.testing.assert_close(prediction.logits, method.head(z))


def test_probability_score_is_softmaxs() -> None:
    """Centres have no part in it."""
    method = center(4, width=0.1, rejection="probability")
    z = torch.randn(1, method.backbone.dim, generator=GENERATOR).double()
    prediction = method.predict(z)
    weights = [math.exp(value) for value in method.head(z)[0].tolist()]
    p = max(weights) / sum(weights)
    assert prediction.unknown_score.item() == pytest.approx(math.log((1 - p) / p))


@pytest.mark.parametrize(("placement", "dim"), [("embedding", 128), ("logits", 6)])
def test_a_class_costs_a_centre(placement: str, dim: int) -> None:
    """K D values, or K K, beyond the classifier's 999,872 weights; none of them has a gradient."""
    method = center(6, placement=placement)
    assert sum(p.numel() for p in method.parameters()) == 999_872
    assert method.centers.numel() == 6 * dim


@pytest.mark.parametrize(
    ("name", "epochs", "restarts"), [("mnist", 140, [70]), ("cifar+50", 300, [150, 225])]
)
def test_published_runs_follow_each_other(name: str, epochs: int, restarts: list[int]) -> None:
    """70 + 70 and 150 + 75 + 75, as the authors of CAC configured them, on a pooled embedding."""
    recipe = Center.published(BENCHMARKS[name])
    assert recipe.training.epochs == epochs
    assert drop_epochs(recipe.training) == restarts
    assert recipe.training.restart_at_drops
    assert recipe.backbone["head"] == "gap"
