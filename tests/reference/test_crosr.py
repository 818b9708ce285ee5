"""CROSR's reconstruction, loss, activations and score against the formulas, step by step."""

import math
from statistics import median

import pytest
import torch
from narrow import NUM_KNOWN, assert_same_slopes, batch_of, doubled, full, narrow, train_of
from scipy.stats import weibull_min
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.data.batches import Batch
from osr_core.methods.base import count_parameters
from osr_core.methods.crosr import CROSR
from osr_core.methods.openmax import fit_tail

LONG = 2  # by which fresh logits are multiplied, to be long beside the latents


def slow_reconstruction(weights: dict[str, Tensor], maps: list[Tensor], sides: list[int]) -> Tensor:
    """j_i = conv(ReLU(conv(x_i))), each on its own; three stages, an image at last."""
    at = "reconstruction"

    def conv(kind: str, i: int, x: Tensor) -> Tensor:
        name = f"{at}.{kind}.{i}"
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def deconv(i: int, x: Tensor) -> Tensor:
        name = f"{at}.deconvs.{i}"
        up = F.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2)
        return up[:, :, : sides[i], : sides[i]]

    j = [conv("laterals", i, conv("bottlenecks", i, x).clamp(min=0)) for i, x in enumerate(maps)]
    second = deconv(2, j[2]).clamp(min=0)
    first = deconv(1, j[1] + second).clamp(min=0)
    return deconv(0, j[0] + first)


@pytest.mark.parametrize("image_size", [16, 20])
def test_losses_equal_the_formulas(image_size: int) -> None:
    """CE and w mean (x~ - N(x))^2, in a double loop, with gradients, the backbone's by all of its
    maps; 20 is no power of two: maps are cut to the size of those that they are added to.
    """
    method = narrow(CROSR, image_size=image_size, latent=2, reconstruction_weight=0.7)
    method.backbone.normalize.mean.fill_(0.4)
    batch, (like, weights) = batch_of(4, image_size=image_size), doubled(method)
    losses = method.losses(batch)
    maps = list(like.backbone.stages(batch.images.double()))
    embedding = like.backbone.pool(maps[-1])
    sides = [image_size, *method.backbone.stage_sides[:2]]
    x = slow_reconstruction(weights, maps, sides)
    targets = batch.images.double() - 0.4
    assert float(targets.min()) < 0
    assert float(x.detach().min()) < 0  # linear at the end: these can be reached
    error = sum(((x[b] - targets[b]) ** 2).sum() for b in range(4)) / targets.numel()
    logits = embedding @ weights["head.weight"].T
    entropy = sum(logits[b].logsumexp(0) - logits[b, int(batch.label[b])] for b in range(4)) / 4
    slow = torch.stack([entropy, 0.7 * error])
    ours = torch.stack([losses["cross_entropy"], losses["reconstruction"]])
    torch.testing.assert_close(ours.double(), slow, rtol=1e-5, atol=0)
    assert_same_slopes(method, ours.sum(), weights, slow.sum())


def slow_distance(a: list[float], mean: list[float], kind: str) -> float:
    """Euclidean, or a 200th of it and one less the cosine; of all of a."""
    if kind == "euclidean":
        return math.dist(a, mean)
    dot = sum(x * y for x, y in zip(a, mean, strict=True))
    return math.dist(a, mean) / 200 + 1 - dot / math.hypot(*a) / math.hypot(*mean)


def slow_score(v: list[float], hazard: list[float], rule: str) -> float:
    """Algorithm 2 on logits v, alpha = K = 3, or the rule of Neal et al. on them."""
    if rule == "osrci":
        shrunk = [math.exp(x * math.exp(-h)) for x, h in zip(v, hazard, strict=True)]
        return -math.log(sum(shrunk) / NUM_KNOWN)
    order = sorted(range(NUM_KNOWN), key=lambda k: -v[k])
    known, unknown = list(v), 0.0
    for rank, k in enumerate(order):
        omega = (NUM_KNOWN - rank) / NUM_KNOWN * (1 - math.exp(-hazard[k]))
        known[k], unknown = v[k] * (1 - omega), unknown + v[k] * omega
    return unknown - math.log(sum(map(math.exp, known)))


def slow_means(rows: list[list[float]], label: list[int]) -> list[list[float]]:
    """Of the rows of each class, number by number."""
    means = []
    for k in range(NUM_KNOWN):
        chosen = [row for row, y in zip(rows, label, strict=True) if y == k]
        means.append([sum(column) / len(chosen) for column in zip(*chosen, strict=True)])
    return means


def slow_rows(a: Tensor, scale_latents: bool) -> list[list[float]]:
    """Activations, z over its standard deviation where that is asked for and is not 0."""
    rows = a.double()
    if scale_latents:
        deviation = ((rows - rows.mean(0)) ** 2).mean(0).sqrt()
        deviation[:NUM_KNOWN] = 1
        rows = rows / deviation.where(deviation > 0, 1.0)
    return rows.tolist()


def scored(images: Tensor, **settings: object) -> tuple[CROSR, Tensor, list[int]]:
    """A method that is calibrated on images whose classes are those that it predicts, with their
    activations and classes.
    """
    method = narrow(CROSR, latent=2, **settings)
    method.head = nn.Linear(method.backbone.dim, NUM_KNOWN)
    with torch.no_grad():
        method.head.bias.sub_(method.head(method.embed(images)).mean(0))  # all are predicted
        for parameter in method.head.parameters():
            parameter *= LONG
        _, logits, a = method.activations(images)
        label = logits.argmax(1)
        method.calibrate(train_of(Batch(images, label, torch.arange(len(images)))))
    return method, a, label.tolist()


@pytest.mark.parametrize(
    ("scale_latents", "distance", "rule"),
    [
        (True, "euclidean", "paper"),
        (False, "euclidean", "paper"),
        (True, "eucos", "paper"),
        (False, "eucos", "paper"),
        (True, "eucos", "osrci"),
    ],
)
def test_calibration_and_score_equal_the_loops(
    scale_latents: bool, distance: str, rule: str
) -> None:
    """Means of the correct images of a class over logits and latents together, distances between
    all of them, Weibulls on their tails; the logits alone are recalibrated.
    """
    options = {"scale_latents": scale_latents, "distance": distance, "rule": rule}
    images = batch_of(36).images
    method, a, label = scored(images, tail=5, **options)
    rows, hazards = slow_rows(a, scale_latents), []
    for k, mean in enumerate(slow_means(rows, label)):
        d = [slow_distance(row, mean, distance) for row in rows]
        own = torch.tensor([each for each, y in zip(d, label, strict=True) if y == k]).double()
        shape, scale, shift = fit_tail(own, 5)
        hazards.append([-weibull_min.logsf(x - shift + 1, shape, scale=scale) for x in d])
    expected = [
        slow_score(row[:NUM_KNOWN], list(hazard), rule)
        for row, hazard in zip(rows, zip(*hazards, strict=True), strict=True)
    ]
    with torch.no_grad():
        prediction = method(images)
    torch.testing.assert_close(prediction.unknown_score.tolist(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(prediction.logits, a[:, :NUM_KNOWN])


def test_the_default_is_the_paper_s_rule_and_distance_on_scaled_latents() -> None:
    """As the loops above have it."""
    config = CROSR.Config()
    assert (config.scale_latents, config.distance, config.rule) == (True, "eucos", "paper")


@pytest.mark.parametrize("scale_latents", [True, False])
def test_latents_move_the_distances_once_they_are_scaled(scale_latents: bool) -> None:
    """Unscaled they are too short beside the logits to say anything: a distance to the mean of the
    own class is hardly more than without them; scaled it is half as long again. The smallest of
    them is the shift of a Weibull whose tail is all of its class.
    """
    options = {"scale_latents": scale_latents, "distance": "euclidean"}
    method, a, label = scored(batch_of(36).images, tail=36, **options)
    rows = slow_rows(a, scale_latents)
    means = slow_means(rows, label)
    joint, alone = (
        [math.dist(row[:end], means[k][:end]) for row, k in zip(rows, label, strict=True)]
        for end in (None, NUM_KNOWN)
    )
    longer = median(d / own for d, own in zip(joint, alone, strict=True))
    assert longer > 1.5 if scale_latents else longer < 1.1
    nearest = [
        min(d for d, y in zip(joint, label, strict=True) if y == k) for k in range(NUM_KNOWN)
    ]
    assert method.shift.tolist() == pytest.approx(nearest, rel=1e-4)
    assert torch.equal(method.spread[:NUM_KNOWN], torch.ones(NUM_KNOWN).double())
    assert bool((method.spread[NUM_KNOWN:] != 1).all()) == scale_latents


def test_the_published_sizes() -> None:
    """354,531 weights beside the classifier; the way back to the image is no part of scoring."""
    method = full(CROSR)
    assert count_parameters(method.reconstruction) == 354_531
    bottlenecks = 3 * (9 * 128 * 32 + 32)
    assert method.num_parameters() == 999_872 + bottlenecks
    assert method.means.shape == (6, 6 + 3 * 32)
