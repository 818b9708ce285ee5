"""CROSR's reconstruction, loss, activations and score against the formulas, step by step."""

import math

import pytest
import torch
from narrow import NUM_KNOWN, assert_same_slopes, batch_of, doubled, full, narrow, train_of
from scipy.stats import weibull_min
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.methods.base import count_parameters
from osr_core.methods.crosr import CROSR
from osr_core.methods.openmax import fit_tail


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
    """CE and w mean (x~ - N(x))^2, in a double loop, with gradients; 20 is no power of two: maps
    are cut to the size of those that they are added to.
    """
    method = narrow(CROSR, image_size=image_size, latent=2, reconstruction_weight=0.7)
    method.backbone.normalize.mean.fill_(0.4)
    batch, weights = batch_of(4, image_size=image_size), doubled(method)
    losses = method.losses(batch)
    with torch.no_grad():
        embedding, maps = method.embed_stages(batch.images)
    sides = [image_size, *method.backbone.stage_sides[:2]]
    x = slow_reconstruction(weights, [each.double() for each in maps], sides)
    targets = batch.images.double() - 0.4
    assert float(targets.min()) < 0
    assert float(x.detach().min()) < 0  # linear at the end: these can be reached
    error = sum(((x[b] - targets[b]) ** 2).sum() for b in range(4)) / targets.numel()
    logits = embedding.double() @ weights["head.weight"].T
    entropy = sum(logits[b].logsumexp(0) - logits[b, int(batch.label[b])] for b in range(4)) / 4
    slow = torch.stack([entropy, 0.7 * error])
    ours = torch.stack([losses["cross_entropy"], losses["reconstruction"]])
    torch.testing.assert_close(ours.double(), slow, rtol=1e-5, atol=0)
    assert_same_slopes(method, ours.sum(), weights, slow.sum())


def slow_score(a: list[float], means: list[list[float]], tails: list[tuple[float, ...]]) -> float:
    """Algorithm 2 on logits a[:K], by distances between all of a; alpha = K = 3."""
    cdf = []
    for mean, (shape, scale, shift) in zip(means, tails, strict=True):
        d = math.dist(a, mean)
        cdf.append(float(weibull_min.cdf(d - shift + 1, shape, scale=scale)))
    order = sorted(range(NUM_KNOWN), key=lambda k: -a[k])
    known, unknown = a[:NUM_KNOWN], 0.0
    for rank, k in enumerate(order):
        omega = (NUM_KNOWN - rank) / NUM_KNOWN * cdf[k]
        known[k], unknown = a[k] * (1 - omega), unknown + a[k] * omega
    return unknown - math.log(sum(map(math.exp, known)))


@pytest.mark.parametrize("scale_latents", [True, False])
def test_calibration_and_score_equal_the_loops(scale_latents: bool) -> None:
    """Means of the correct images of a class over logits and latents together, distances between
    all of them, Weibulls on their tails; the logits alone are recalibrated.
    """
    method = narrow(CROSR, latent=2, tail=5, distance="euclidean", scale_latents=scale_latents)
    batch = batch_of(36)
    method.head = nn.Linear(method.backbone.dim, NUM_KNOWN)
    with torch.no_grad():
        method.head.bias.sub_(method.head(method.embed(batch.images)).mean(0))  # all are predicted
        _, logits, a = method.activations(batch.images)
        predicted = logits.argmax(1)
        method.calibrate(train_of(batch._replace(label=predicted)))
        prediction = method(batch.images)
    rows = a.double()
    if scale_latents:
        deviation = ((rows - rows.mean(0)) ** 2).mean(0).sqrt()
        deviation[:NUM_KNOWN] = 1
        rows = rows / deviation.where(deviation > 0, 1.0)
    means, tails = [], []
    for k in range(NUM_KNOWN):
        chosen = [row for row, p in zip(rows.tolist(), predicted.tolist(), strict=True) if p == k]
        means.append([sum(column) / len(chosen) for column in zip(*chosen, strict=True)])
        distances = torch.tensor([math.dist(row, means[k]) for row in chosen]).double()
        tails.append(fit_tail(distances, 5))
    expected = [slow_score(row, means, tails) for row in rows.tolist()]
    torch.testing.assert_close(prediction.unknown_score.tolist(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(prediction.logits, logits)


def test_latents_move_the_distances_once_they_are_scaled() -> None:
    """Unscaled they are too short beside the logits to say anything."""
    method, batch = narrow(CROSR, latent=2), batch_of(12)
    with torch.no_grad():
        method.calibrate(train_of(batch))
    assert torch.equal(method.spread[:NUM_KNOWN], torch.ones(NUM_KNOWN).double())
    assert bool((method.spread[NUM_KNOWN:] != 1).all())


def test_the_published_sizes() -> None:
    """354,531 weights beside the classifier; the way back to the image is no part of scoring."""
    method = full(CROSR)
    assert count_parameters(method.reconstruction) == 354_531
    bottlenecks = 3 * (9 * 128 * 32 + 32)
    assert method.num_parameters() == 999_872 + bottlenecks
    assert method.means.shape == (6, 6 + 3 * 32)
