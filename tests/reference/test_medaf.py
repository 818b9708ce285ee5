"""MEDAF's terms, gate and score against loops in float64, and its diversity on pictured maps."""

import math
from copy import deepcopy

import pytest
import torch
from narrow import NUM_KNOWN, assert_same_gradients, batch_of, full, narrow
from torch import Tensor

from osr_core.data import BENCHMARKS
from osr_core.methods.base import count_parameters
from osr_core.methods.medaf import MEDAF, diversity
from osr_core.recipes import Training


def slow_diversity(maps: Tensor) -> Tensor:
    """Pair by pair and image by image, over positions."""
    total = maps.new_zeros(())
    for image in maps:
        looks = []
        for each in image:
            m = each.flatten() / each.flatten().square().sum().sqrt()
            looks.append((m - m.mean()).clamp(min=0))
        for d in range(len(looks)):
            for e in range(d + 1, len(looks)):
                lengths = [looks[i].square().sum().sqrt() for i in (d, e)]
                total = total + (looks[d] * looks[e]).sum() / lengths[0] / lengths[1]
    return total / len(maps)


def test_diversity_is_the_mean_cosine_of_pairs() -> None:
    """Of four experts, so six pairs, with its gradient."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, 2, 5, generator=generator).double().requires_grad_()
    torch.testing.assert_close(diversity(maps), slow_diversity(maps))
    slopes = [torch.autograd.grad(found(maps), maps)[0] for found in (diversity, slow_diversity)]
    torch.testing.assert_close(*slopes)


def test_experts_that_look_at_the_same_place_cost_one_and_at_different_ones_nothing() -> None:
    """However bright a map is; one without contrast looks nowhere, and its gradient is a number."""
    left, right = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    flat, dark = torch.ones(1, 2), torch.zeros(1, 2)
    for pair, cosine in (
        ((left, 3 * left), 1.0),
        ((left, right), 0.0),
        ((left, flat), 0.0),
        ((flat, dark), 0.0),
        ((left, left, right), 1.0),
        ((left, left, left), 3.0),
    ):
        maps = torch.stack(pair)[None].requires_grad_()
        assert float(diversity(maps).detach()) == pytest.approx(cosine)
        (slope,) = torch.autograd.grad(diversity(maps), maps)
        assert bool(slope.isfinite().all())


def test_diversity_is_not_the_share_of_positions_that_both_look_at() -> None:
    """What the authors' code computes: a cosine of single numbers, which no gradient can move."""
    maps = torch.tensor([[[[3.0, 2.0, 0.0, 0.0]], [[1.0, 5.0, 0.0, 0.0]]]]).requires_grad_()
    looks = maps / maps.norm(dim=3, keepdim=True)
    looks = torch.relu(looks - looks.mean(3, keepdim=True)).flatten(2)
    share = torch.cosine_similarity(looks[:, 0, None], looks[:, 1, None], dim=1, eps=1e-6).mean()
    assert float(share.detach()) == pytest.approx(0.25, abs=1e-4)
    assert float(torch.autograd.grad(share, maps)[0].abs().max()) < 1e-4
    assert float(diversity(maps).detach()) != pytest.approx(0.25, abs=0.1)
    assert float(torch.autograd.grad(diversity(maps), maps)[0].abs().max()) > 1e-2


def slow_terms(method: MEDAF, images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The three terms, and the gated logits (B, K), of a method in float64."""
    stem = method.backbone.stem(images)
    experts = [method.backbone.behind_stem(), *method.others[:-1]]
    gate = method.others[-1](stem)
    maps = []
    for layers, conv in zip(experts, method.to_maps, strict=True):
        maps.append(torch.einsum("kc,bchw->bkhw", conv.weight[:, :, 0, 0], layers(stem)))
    num, hidden = len(images), gate.flatten(2).mean(2)
    for layer in method.gate:
        hidden = hidden @ layer.weight.T + layer.bias
    by_experts, by_gate, rows = torch.zeros(()).double(), torch.zeros(()).double(), []
    for b, y in enumerate(label):
        weights = [(hidden[b, e] / 100).exp() for e in range(len(maps))]
        gated = torch.zeros(NUM_KNOWN).double()
        for weight, of_expert in zip(weights, maps, strict=True):
            logits = torch.stack([of_expert[b, k].mean() for k in range(NUM_KNOWN)])
            gated = gated + weight / sum(weights) * logits.detach()
            by_experts = by_experts + (logits.logsumexp(0) - logits[y]) / num
        by_gate = by_gate + (gated.logsumexp(0) - gated[y]) / num
        rows.append(gated)
    own = [torch.stack([of_expert[b, y] for of_expert in maps]) for b, y in enumerate(label)]
    apart = slow_diversity(torch.stack(own))
    return torch.stack([0.5 * by_experts, 2 * by_gate, 0.3 * apart]), torch.stack(rows)


def test_losses_equal_the_formulas() -> None:
    """All three, with the gradients of every weight: stem, experts, class maps and gate."""
    method = narrow(MEDAF, expert_weight=0.5, gate_weight=2.0, diversity_weight=0.3)
    batch, doubled = batch_of(5), deepcopy(method).double()
    losses = method.losses(batch)
    terms, _ = slow_terms(doubled, batch.images.double(), batch.label)
    found = [float(losses[name].detach()) for name in method.terms]
    assert found == pytest.approx(terms.tolist(), rel=1e-5)
    sum(losses.values()).backward()
    terms.sum().backward()
    assert_same_gradients(method, doubled)


@pytest.mark.parametrize("weight", [0.01, 0.0])
def test_an_epoch_tells_the_mean_cosine_of_two_experts(weight: float) -> None:
    """Of three pairs, whatever weight it has in the loss; it is no term of it."""
    method, batch = narrow(MEDAF, experts=3, diversity_weight=weight), batch_of(5)
    doubled = deepcopy(method).double()
    stem = doubled.backbone.stem(batch.images.double())
    experts = [doubled.backbone.behind_stem(), *doubled.others[:-1]]
    maps = [conv(layers(stem)) for layers, conv in zip(experts, doubled.to_maps, strict=True)]
    own = [torch.stack([each[b, y] for each in maps]).detach() for b, y in enumerate(batch.label)]
    told = method.train_step(batch, method.optimizers(Training(lr=0.1)))
    assert tuple(told) == (*method.terms, "cosine")
    assert float(told["cosine"]) == pytest.approx(float(slow_diversity(torch.stack(own))) / 3)
    assert not any(number.requires_grad for number in told.values())
    assert float(told["diversity"]) == pytest.approx(3 * weight * float(told["cosine"]))


def test_a_step_is_one_down_the_sum_of_the_terms() -> None:
    """Of all weights; what is told besides moves none."""
    method, batch = narrow(MEDAF), batch_of(5)
    slow = deepcopy(method)
    method.train_step(batch, method.optimizers(Training(lr=0.1, momentum=0.0, weight_decay=0.0)))
    sum(slow.losses(batch).values()).backward()
    for (name, own), before in zip(method.named_parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(own, before - 0.1 * before.grad, msg=name)


def test_the_gate_moves_no_expert() -> None:
    """It weighs what they say; each learns from what it says alone."""
    method, batch = narrow(MEDAF), batch_of(5)
    method.losses(batch)["gate"].backward()
    for part in (method.to_maps, method.others[:-1]):
        assert all(parameter.grad is None for parameter in part.parameters())
    for part in (method.gate, method.others[-1]):
        assert all(bool(parameter.grad.abs().sum() > 0) for parameter in part.parameters())


def test_the_score_is_the_probability_at_a_temperature_of_a_hundred() -> None:
    """Of the gated logits, as its log odds; at a temperature of 1 images rank otherwise."""
    method, batch = narrow(MEDAF), batch_of(4)
    _, gated = slow_terms(deepcopy(method).double(), batch.images.double(), batch.label)
    with torch.no_grad():
        prediction = method(batch.images)
    torch.testing.assert_close(prediction.logits.double(), gated, rtol=1e-4, atol=1e-6)
    for score, logits in zip(prediction.unknown_score, gated, strict=True):
        p = float((logits / 100).softmax(0).max().detach())
        assert float(score) == pytest.approx(math.log((1 - p) / p), rel=1e-4)
    assert prediction.embedding.shape == (4, method.backbone.dim)


def test_experts_start_alike_but_for_their_class_maps() -> None:
    """As in the authors' code; from then on each has its own."""
    method = narrow(MEDAF)
    for other in method.others:
        for own, copied in zip(
            method.backbone.behind_stem().parameters(), other.parameters(), strict=True
        ):
            assert torch.equal(own, copied)
            assert own is not copied
    assert not torch.equal(method.to_maps[0].weight, method.to_maps[1].weight)


def test_the_published_sizes() -> None:
    """Three copies of the convolutions 7 to 9, three class maps and a gate 128 - 32 - 3."""
    method = full(MEDAF)
    behind = 3 * (128 * 128 * 9 + 2 * 128)
    heads = 3 * 6 * 128 + (128 * 32 + 32) + (32 * 3 + 3)
    assert count_parameters(method) == method.num_parameters() == 999_104 + 3 * behind + heads


def test_the_published_schedule_is_the_authors() -> None:
    """SGD at 0.1, a tenth after epoch 130 of 150; crops of an eighth of the side."""
    recipe = MEDAF.published(BENCHMARKS["tinyimagenet"])
    training = recipe.training
    assert (training.lr, training.momentum, training.weight_decay) == (0.1, 0.9, 1e-5)
    assert [round(drop * training.epochs) for drop in training.drops] == [130]
    assert (training.augmentation.randaugment_ops, training.augmentation.crop_padding) == (2, 8)
    assert recipe.backbone == {"name": "resnet18", "stem": "small"}
