"""CGDL's Gaussians, loss and score against torch.distributions, a grid and numpy loops."""

import numpy as np
import pytest
import torch
from narrow import NUM_KNOWN, assert_same_slopes, batch_of, doubled, full, narrow, train_of
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from osr_core.methods.base import count_parameters
from osr_core.methods.cgdl.ladder import Gaussian
from osr_core.methods.cgdl.method import CGDL, fitted_gaussian


def drawn(*shape: int, seed: int) -> Gaussian:
    """A Gaussian in float64 that can be differentiated by."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(shape, generator=generator, dtype=torch.float64)
    variance = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1
    return Gaussian(mean.requires_grad_(), variance.requires_grad_())


def test_the_divergence_is_that_of_torch() -> None:
    """Summed over all but the images, with gradients."""
    one, other = drawn(4, 2, 3, seed=0), drawn(4, 2, 3, seed=1)
    normals = [Normal(each.mean, each.variance.sqrt()) for each in (one, other)]
    expected = kl_divergence(*normals).sum((1, 2))
    torch.testing.assert_close(one.divergence_from(other), expected)
    inputs = (*one, *other)
    slopes = torch.autograd.grad(one.divergence_from(other).sum(), inputs)
    for slope, slow in zip(slopes, torch.autograd.grad(expected.sum(), inputs), strict=True):
        torch.testing.assert_close(slope, slow)


def test_the_product_is_that_on_a_grid() -> None:
    """Densities multiplied point by point, and made to sum to one."""
    one, other = drawn(1, seed=2), drawn(1, seed=3)
    x = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    density = torch.ones_like(x)
    for each in (one, other):
        density = density * Normal(each.mean, each.variance.sqrt()).log_prob(x).exp()
    weight = density / density.sum()
    mean = (weight * x).sum()
    product = one.times(other)
    torch.testing.assert_close(product.mean[0], mean)
    torch.testing.assert_close(product.variance[0], (weight * (x - mean) ** 2).sum())


def slow_ladder(
    weights: dict[str, Tensor], maps: list[Tensor], noise: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Three stages by plain calls, batch norms by the batch; z = mu + sqrt(v) times given noise.

    Gives mu and v of the top, its z, the image, and the sum of the two lower divergences.
    """

    def heads(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        both = []
        for part in ("mean", "variance"):
            weight, bias = (
                weights[f"ladder.{name}.{part}.weight"],
                weights[f"ladder.{name}.{part}.bias"],
            )
            both.append(F.linear(x, weight, bias) if x.dim() == 2 else F.conv2d(x, weight, bias))
        return both[0], (1 + both[1].exp()).log() + 1e-6

    def norm(name: str, x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scaled = (x - mean) / (variance + 1e-5).sqrt()
        gain, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        x = scaled * gain[:, None, None] + shift[:, None, None]
        return torch.where(x > 0, x, 0.2 * x)

    def block(name: str, x: Tensor) -> Tensor:
        weight = weights[f"ladder.{name}.deconv.weight"]
        x = F.conv_transpose2d(
            x, weight, weights[f"ladder.{name}.deconv.bias"], stride=weight.shape[2]
        )
        x = norm(f"ladder.{name}.rest.0", x)
        at = f"ladder.{name}.rest.2"
        x = F.conv2d(x, weights[f"{at}.weight"], weights[f"{at}.bias"], padding=1)
        return norm(f"ladder.{name}.rest.3", x)

    mu, v = heads("top", maps[2].mean((2, 3)))
    top = mu + v.sqrt() * noise[0]
    z, divergence = top[:, :, None, None], torch.zeros(len(top)).double()
    for i in (1, 0):
        down_mu, down_v = heads(f"down.{i}", block(f"blocks.{i}", z))
        up_mu, up_v = heads(f"up.{i}", maps[i])
        precision = 1 / down_v + 1 / up_v
        q_mu, q_v = (down_mu / down_v + up_mu / up_v) / precision, 1 / precision
        kl = kl_divergence(Normal(q_mu, q_v.sqrt()), Normal(down_mu, down_v.sqrt()))
        divergence = divergence + kl.sum((1, 2, 3))
        z = q_mu + q_v.sqrt() * noise[2 - i]
    out = F.conv2d(block("last", z), weights["ladder.out.weight"], weights["ladder.out.bias"])
    return mu, v, top, 1 / (1 + (-out).exp()), divergence


def test_losses_equal_the_formulas() -> None:
    """A training step's draws taken again, the three terms by loops, and their gradients, the
    backbone's by all of its maps.
    """
    method = narrow(CGDL, latent=3, lateral=2, reconstruction_weight=0.3, divergence_weight=0.2)
    batch, (like, weights) = batch_of(4), doubled(method)
    maps = list(like.backbone.stages(batch.images.double()))
    method.train()
    method.backbone.eval()
    torch.manual_seed(5)
    losses = method.losses(batch)
    torch.manual_seed(5)
    noise = [torch.randn(4, 3), torch.randn(4, 2, 4, 4), torch.randn(4, 2, 8, 8)]
    mu, v, top, images, lower = slow_ladder(weights, maps, [each.double() for each in noise])
    slow = torch.zeros(3).double()
    for b in range(4):
        y = int(batch.label[b])
        logits = weights["head.weight"] @ top[b] + weights["head.bias"]
        own = weights["class_means.weight"][:, y] + weights["class_means.bias"]
        kl = kl_divergence(Normal(mu[b], v[b].sqrt()), Normal(own, torch.ones(3).double())).sum()
        error = ((batch.images[b].double() - images[b]) ** 2).sum()
        terms = (logits.logsumexp(0) - logits[y], 0.3 * error, 0.2 * (kl + lower[b]))
        slow = slow + torch.stack(terms) / 4
    found = [float(losses[name].detach()) for name in method.terms]
    assert found == pytest.approx(slow.tolist(), rel=1e-5)
    assert_same_slopes(method, sum(losses.values()), weights, slow.sum())


def test_in_eval_mode_nothing_is_drawn() -> None:
    """Each z is its mean: a score must not change from one look to the next."""
    method, batch = narrow(CGDL, latent=3, lateral=2), batch_of(4)
    state = torch.get_rng_state()
    with torch.no_grad():
        climbed = method.ladder(*method.embed_stages(batch.images)[1])
    assert torch.equal(climbed.latent, climbed.top.mean)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_class_is_described_by_mean_and_covariance() -> None:
    """As numpy has them, with a ten-thousandth of the mean variance on the diagonal."""
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).double()
    mean, inverse, log_det = fitted_gaussian(points)
    covariance = np.cov(points.T.numpy(), bias=True)
    covariance = covariance + np.eye(3) * 1e-4 * covariance.trace() / 3
    assert mean.tolist() == pytest.approx(points.numpy().mean(0).tolist())
    np.testing.assert_allclose(inverse.numpy(), np.linalg.inv(covariance), rtol=1e-9)
    assert float(log_det) == pytest.approx(np.log(np.linalg.det(covariance)))
    for found in fitted_gaussian(points[:1]):
        assert bool(found.isfinite().all())


@pytest.mark.parametrize("score", ["either", "sum", "density"])
def test_calibration_and_score_equal_the_loops(score: str) -> None:
    """Gaussians of the correct images, distances one by one, both numbers standardised."""
    method, batch = narrow(CGDL, latent=3, lateral=2, score=score), batch_of(24)
    with torch.no_grad():
        _, logits, latent, error = method.observed(batch.images)
        label = logits.argmax(1).where(torch.arange(24) > 2, (logits.argmax(1) + 1) % NUM_KNOWN)
        if min(int((label[3:] == k).sum()) for k in range(NUM_KNOWN)) < 2:
            label = batch.label
        method.calibrate(train_of(batch._replace(label=label)))
        prediction = method(batch.images)
    mu, e, correct = latent.numpy(), error.numpy(), (logits.argmax(1) == label).numpy()
    gaussians = []
    for k in range(NUM_KNOWN):
        of_class = label.numpy() == k
        chosen = of_class & correct if (of_class & correct).sum() > 1 else of_class
        covariance = np.cov(mu[chosen].T, bias=True)
        covariance = covariance + np.eye(3) * max(1e-4 * covariance.trace() / 3, 1e-12)
        gaussians.append((mu[chosen].mean(0), covariance))
    distances, densities = [], []
    for row in mu:
        squared = [(row - m) @ np.linalg.solve(c, row - m) for m, c in gaussians]
        distances.append(min(squared) ** 0.5)
        log_dets = [np.linalg.slogdet(c)[1] for _, c in gaussians]
        densities.append(min(s + d for s, d in zip(squared, log_dets, strict=True)) / 2)
    d = np.array(distances)
    standard = [(x - x[correct].mean()) / max(x[correct].std(), 1e-12) for x in (d, e)]
    expected = {"either": np.maximum(*standard), "sum": sum(standard), "density": densities}
    found = prediction.unknown_score.double().numpy()
    np.testing.assert_allclose(found, expected[score], rtol=1e-3, atol=1e-3)


def test_the_published_sizes() -> None:
    """748,777 weights of ladder, classes and their means for colour images of 32 pixels."""
    method = full(CGDL)
    assert count_parameters(method.ladder, method.head, method.class_means) == 748_777
