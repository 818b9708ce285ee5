"""CSSR's loss, calibration and score against loops over positions, classes and channels."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from narrow import NUM_KNOWN, assert_same_gradients, batch_of, full, narrow, train_of
from torch import Tensor

from osr_core.data import BENCHMARKS
from osr_core.execution import calibrate_method
from osr_core.methods import cssr
from osr_core.methods.base import count_parameters
from osr_core.methods.cssr import CSSR, grams

PLAIN_OR_NOT = pytest.mark.parametrize("reciprocal", [False, True])


def slow_errors(method: CSSR, maps: Tensor) -> Tensor:
    """(B, K, P) +-g ||x - V tanh(U x)||_1 within +-100, position by position."""
    sign = 1 if method.config.reciprocal else -1
    rows = []
    for x in maps.flatten(2):
        by_class = []
        for encoder in method.auto_encoders.of_class:
            inward, outward = encoder[0].weight[:, :, 0, 0], encoder[2].weight[:, :, 0, 0]
            at = [x[:, p] - outward @ torch.tanh(inward @ x[:, p]) for p in range(x.shape[1])]
            by_class.append(torch.stack([each.abs().sum() for each in at]))
        rows.append(torch.stack(by_class))
    return (sign * method.config.gamma * torch.stack(rows)).clamp(-100, 100)


def slow_logits(errors: Tensor) -> Tensor:
    """(B, K) the logarithm of the mean over positions of a softmax over classes."""
    rows = []
    for image in errors:
        shares = [image[:, p].exp() / image[:, p].exp().sum() for p in range(image.shape[1])]
        rows.append((sum(shares) / len(shares)).log())
    return torch.stack(rows)


@PLAIN_OR_NOT
def test_losses_equal_the_formulas(reciprocal: bool) -> None:
    """With the gradients of every weight, the backbone's too."""
    method = narrow(CSSR, latent=2, gamma=0.7, reciprocal=reciprocal)
    batch, doubled = batch_of(5), deepcopy(method).double()
    loss = method.losses(batch)["cross_entropy"]
    logits = slow_logits(slow_errors(doubled, doubled.backbone.stages(batch.images.double())[-1]))
    slow = -sum(logits[b, y] for b, y in enumerate(batch.label)) / 5
    assert float(loss.detach()) == pytest.approx(float(slow.detach()), rel=1e-5)
    loss.backward()
    slow.backward()
    assert_same_gradients(method, doubled)


def test_an_image_is_of_the_class_that_errs_least_or_most() -> None:
    """Class 1 gives back some of x, the others nothing."""
    for reciprocal, best in ((False, 1), (True, 0)):
        method, batch = narrow(CSSR, latent=6, reciprocal=reciprocal), batch_of(4)
        width = method.backbone.stage_channels[-1]
        with torch.no_grad():
            for encoder in method.auto_encoders.of_class:
                encoder[2].weight.zero_()
            inward, _, outward = method.auto_encoders.of_class[1]
            inward.weight.copy_(1e-3 * torch.eye(6, width)[:, :, None, None])
            outward.weight.copy_(1e3 * torch.eye(width, 6)[:, :, None, None])
            logits = method(batch.images).logits
        assert (logits.argmax(1) == best).all()
        torch.testing.assert_close(logits.exp().sum(1), torch.ones(4))


def test_errors_end_at_a_hundred() -> None:
    """As in the authors' code: from there on there is no gradient."""
    method, batch = narrow(CSSR, latent=2, gamma=1e4), batch_of(3)
    loss = method.losses(batch)["cross_entropy"]
    assert float(loss.detach()) == pytest.approx(math.log(NUM_KNOWN))
    loss.backward()
    assert all(not parameter.grad.any() for parameter in method.auto_encoders.parameters())


def slow_gram(x: np.ndarray) -> np.ndarray:
    """(D, D) of (D, P), pair by pair."""
    width, positions = x.shape
    found = np.zeros((width, width))
    for i in range(width):
        for j in range(width):
            found[i, j] = sum(x[i, p] ** 8 * x[j, p] ** 8 for p in range(positions)) ** (1 / 8)
    return found


def test_a_gram_matrix_is_the_root_of_a_sum_of_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few images go at once, and for maps whose 16th power float32 does not hold."""
    monkeypatch.setattr(cssr, "GRAM_ENTRIES", 2 * 3 * 3)
    maps = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 1e3
    pieces = list(grams(maps))
    assert [len(matrices) for _, matrices in pieces] == [2, 2, 1]
    for piece, matrices in pieces:
        for x, found in zip(maps[piece], matrices, strict=True):
            slow = slow_gram(x.flatten(1).double().numpy())
            np.testing.assert_allclose(found.numpy(), slow, rtol=1e-9)


def slow_parts(
    x: np.ndarray, own: np.ndarray, features: np.ndarray, gram: np.ndarray, reciprocal: bool
) -> list[float]:
    """r_1, r_2, r_3 of an image (D, P) by the predicted class's errors (P,), features and gram."""
    width, positions = x.shape
    at = [1 if reciprocal else np.abs(x[:, p]).mean() ** 2 for p in range(positions)]
    reconstruction = sum(own[p] / at[p] for p in range(positions)) / positions
    response = sum(features[i] * x[i, p] for i in range(width) for p in range(positions))
    return [reconstruction, response / width / positions, (slow_gram(x) * gram).sum()]


@PLAIN_OR_NOT
def test_calibration_and_score_equal_the_loops(reciprocal: bool) -> None:
    """Means by predicted class, shares of a channel among classes, and standardised parts."""
    method, batch = narrow(CSSR, latent=2, reciprocal=reciprocal), batch_of(9)
    with torch.no_grad():
        for encoder in method.auto_encoders.of_class:
            encoder[2].weight *= 3  # so that classes differ
    calibrate_method(method, train_of(batch))
    with torch.no_grad():
        maps = method.backbone.stages(batch.images)[-1].double()
        errors = slow_errors(deepcopy(method).double(), maps).numpy()
        prediction = method(batch.images)
    best = prediction.logits.argmax(1).tolist()
    assert len(set(best)) > 1
    x = maps.flatten(2).numpy()
    features, gram = np.zeros((NUM_KNOWN, x.shape[1])), np.zeros((NUM_KNOWN, *[x.shape[1]] * 2))
    for c in set(best):
        own = [b for b in range(9) if best[b] == c]
        features[c] = np.mean([np.abs(x[b]).mean(1) for b in own], 0)
        gram[c] = np.mean([slow_gram(np.abs(x[b])) for b in own], 0)
    features /= features.sum(0)
    parts = np.array(
        [
            slow_parts(x[b], errors[b, c], features[c], gram[c], reciprocal)
            for b, c in enumerate(best)
        ]
    )
    standard = (parts - parts.mean(0)) / parts.std(0)
    np.testing.assert_allclose(prediction.unknown_score, -standard.sum(1), atol=1e-3)
    alone = replace(method.config, score="reconstruction")
    first = CSSR(method.backbone, NUM_KNOWN, alone).eval()
    first.load_state_dict(method.state_dict())
    with torch.no_grad():
        found = first(batch.images).unknown_score
    np.testing.assert_allclose(found, -parts[:, 0], rtol=1e-4)


def test_a_channel_that_no_class_has_and_a_dark_position_cost_nothing() -> None:
    """The authors' code divides by their sum, 0."""
    method, batch = narrow(CSSR, latent=2), batch_of(6)
    calibrate_method(method, train_of(batch))
    maps = torch.zeros(2, method.backbone.stage_channels[-1], 2, 2)
    maps[:, 1:, 0] = 1
    with torch.no_grad():
        method.features[:, 0] = 0
        parts = method.parts(maps, torch.zeros(2, NUM_KNOWN, 2, 2), torch.tensor([0, 1]))
    assert bool(parts.isfinite().all())
    for layer in method.backbone.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    calibrate_method(method, train_of(batch))
    with torch.no_grad():
        assert bool(method(batch.images).unknown_score.isfinite().all())


def test_the_published_sizes() -> None:
    """Twice 128 x 64 weights for each of six classes: 98,304."""
    method = full(CSSR)
    assert count_parameters(method.auto_encoders) == 98_304
    assert method.num_parameters() == 999_104 + 98_304


def test_the_published_schedules_are_the_authors() -> None:
    """Rates fall after the epochs 120 and 190 of 200; on TinyImageNet after 150 and 225 of 235."""
    for name, backbone, epochs, drops in (
        ("cifar10", "wrn", 200, [120, 190]),
        ("tinyimagenet", "resnet18", 235, [150, 225]),
    ):
        recipe = CSSR.published(BENCHMARKS[name])
        training = recipe.training
        assert (training.lr, training.momentum, training.weight_decay) == (0.4, 0.0, 5e-4)
        assert (recipe.backbone["name"], training.epochs) == (backbone, epochs)
        assert [round(drop * epochs) for drop in training.drops] == drops
