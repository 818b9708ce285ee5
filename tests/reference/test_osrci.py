"""OSRCI and G-OpenMax: the descent, what is kept, the losses and scores against loops."""

import dataclasses
import math

import pytest
import torch
from narrow import assert_same_slopes, batch_of, doubled, narrow, train_of
from torch import Tensor

from osr_core.methods.g_openmax import GOpenMax
from osr_core.methods.gan.gan import normalised
from osr_core.methods.gan.generate import descended, least_certain, log_odds_of_known
from osr_core.methods.osrci import OSRCI, margin_score
from osr_core.methods.softmax import Softmax

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [-3.0, -2.0, -4.0], [0.1, 0.1, 0.0]]).double()


def sphere(*shape: int, seed: int) -> Tensor:
    """Latents (B, L, s, s) of unit vectors in float64."""
    draws = torch.Generator().manual_seed(seed)
    return normalised(torch.randn(shape, generator=draws, dtype=torch.float64))


def test_the_descent_equals_the_loop_image_by_image() -> None:
    """Linear classifier and generator, gradients worked out by hand: of log(1 + sum exp l) by the
    logits exp l_k / (1 + sum exp l), of the distance 2 w (z - z_0); then back to the sphere.
    """
    z0, weight = sphere(3, 2, 1, 2, seed=0), torch.randn(4, 3, generator=torch.Generator()).double()
    loss = lambda z: log_odds_of_known(z.flatten(1) @ weight)  # noqa: E731
    found = descended(z0, loss, steps=4, step=0.3, distance_weight=0.7, project=normalised)
    for b in range(3):
        start = z0[b].flatten().tolist()
        z = list(start)
        for _ in range(4):
            logits = [sum(z[i] * float(weight[i, k]) for i in range(4)) for k in range(3)]
            total = 1 + sum(map(math.exp, logits))
            slopes = [math.exp(v) / total for v in logits]
            gradient = [
                sum(float(weight[i, k]) * slopes[k] for k in range(3)) + 2 * 0.7 * (z[i] - start[i])
                for i in range(4)
            ]
            z = [z[i] - 0.3 * gradient[i] for i in range(4)]
            for position in range(2):  # the channels of a position are i = position, position + 2
                length = math.hypot(z[position], z[position + 2])
                z[position], z[position + 2] = z[position] / length, z[position + 2] / length
        assert found[b].flatten().tolist() == pytest.approx(z, rel=1e-9)


def test_an_image_s_descent_does_not_depend_on_the_others() -> None:
    """A batch mean would make the step of each 1/64 of its own, as in the code."""
    z0, weight = sphere(3, 2, 1, 2, seed=0), sphere(4, 3, 1, 1, seed=1)[:, :, 0, 0]
    loss = lambda z: log_odds_of_known(z.flatten(1) @ weight)  # noqa: E731
    options = {"steps": 3, "step": 0.1, "distance_weight": 1.0, "project": normalised}
    together = descended(z0, loss, **options)
    alone = torch.cat([descended(z[None], loss, **options) for z in z0])
    torch.testing.assert_close(together, alone)


def test_distance_holds_an_image_back() -> None:
    """The paper's term acts on each position; that of two means would not."""
    z0, weight = sphere(3, 2, 2, 2, seed=0), sphere(8, 3, 1, 1, seed=1)[:, :, 0, 0]
    loss = lambda z: log_odds_of_known(5 * z.flatten(1) @ weight)  # noqa: E731
    apart = []
    for distance_weight in (0.0, 1.0, 10.0):
        z = descended(
            z0, loss, steps=50, step=0.02, distance_weight=distance_weight, project=normalised
        )
        apart.append(float((z - z0).square().sum()))
        assert bool((loss(z) < loss(z0)).all())
    assert apart == sorted(apart, reverse=True)


def test_the_probability_of_none_is_a_softmax_s_with_a_logit_of_0() -> None:
    """By hand: of one class with l = 0 it is one half."""
    assert float(log_odds_of_known(torch.zeros(1, 1))) == pytest.approx(math.log(2))
    for row, found in zip(LOGITS.tolist(), log_odds_of_known(LOGITS).tolist(), strict=True):
        assert found == pytest.approx(math.log(1 + sum(map(math.exp, row))))


def test_the_score_is_the_log_odds_of_the_margin() -> None:
    """And ranks as p_{K+1} - max p_k does, where that is not yet -1."""
    for row, found in zip(LOGITS.tolist(), margin_score(LOGITS).tolist(), strict=True):
        total = 1 + sum(map(math.exp, row))
        a = 1 / total - max(map(math.exp, row)) / total
        assert found == pytest.approx(math.log((1 + a) / (1 - a)))
    logits = 6 * torch.randn(200, 5, generator=torch.Generator().manual_seed(0)).double()
    p = torch.cat([logits, torch.zeros(200, 1).double()], 1).softmax(1)
    margin = p[:, -1] - p[:, :-1].amax(1)
    assert torch.equal(margin_score(logits).argsort(), margin.argsort())
    sure = torch.tensor([[40.0, 0.0], [60.0, 0.0]])
    assert bool(margin_score(sure)[0] > margin_score(sure)[1])


def test_the_fine_tuning_s_losses_equal_the_formulas() -> None:
    """CE among K + 1 for known images, -log p_{K+1} for as many drawn fakes, with gradients, the
    backbone's by both.
    """
    method, batch, fakes = narrow(OSRCI), batch_of(4), batch_of(6).images.flip(0)
    images = fakes.mul(255).round().to(torch.uint8)
    inputs = {"classifier": narrow(Softmax).state_dict(), "fakes": {"images": images}}
    method.prepare(train_of(batch), inputs)
    like, weights = doubled(method)
    torch.manual_seed(3)
    losses = method.losses(batch)
    torch.manual_seed(3)
    drawn = torch.randint(6, (4,))
    z, of_fakes = like.backbone(batch.images.double()), like.backbone(images[drawn].double() / 255)
    entropy, surprise = torch.zeros(()).double(), torch.zeros(()).double()
    for b in range(4):
        logits, none = z[b] @ weights["head.weight"].T, of_fakes[b] @ weights["head.weight"].T
        total = 1 + logits.exp().sum()
        entropy = entropy - (logits[int(batch.label[b])].exp() / total).log() / 4
        surprise = surprise - (1 / (1 + none.exp().sum())).log() / 4
    ours, slow = torch.stack(list(losses.values())), torch.stack([entropy, surprise])
    torch.testing.assert_close(ours.double(), slow, rtol=1e-5, atol=0)
    assert_same_slopes(method, ours.sum(), weights, slow.sum())


def test_without_fakes_nothing_is_learned_of_the_unknown() -> None:
    """The control: the same fine-tuning, `fakes: 0`."""
    method, batch = narrow(OSRCI), batch_of(4)
    losses = method.losses(batch)
    assert float(losses["unknown"]) == 0
    assert set(method.validation(batch)) == {*method.terms, "accuracy"}


def test_the_least_certain_candidates_are_kept() -> None:
    """Six of them by hand; the largest probability counts, not the class."""
    certainty = [0.9, 0.4, 0.6, 0.35, 0.99, 0.5]
    rows = [[p, *([(1 - p) / 2] * 2)] for p in certainty]
    rows[3] = rows[3][::-1]  # the third class
    images = torch.arange(6.0).view(6, 1, 1, 1)
    kept, chosen, told = least_certain(images, torch.tensor(rows).log(), 3)
    assert chosen.tolist() == [3, 1, 5]
    assert kept.flatten().tolist() == [3, 1, 5]
    assert told.tolist() == pytest.approx(certainty)


def test_g_openmax_is_scored_by_the_rule_behind_the_tables() -> None:
    """With OSRCI's settings and OpenMax's, on a classifier trained one against the rest."""
    config = GOpenMax.Config()
    assert (config.rule, config.distance, config.tail) == ("osrci", "euclidean", 20)
    assert config.loss == OSRCI.Config().loss == "one_vs_rest"
    ours = {field.name for field in dataclasses.fields(OSRCI.Config)}
    assert ours - GOpenMax.setting_names() == {"steps", "step", "distance_weight"}
