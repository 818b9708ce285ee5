"""C2AE's condition, loss and score against the formulas as loops; what is frozen stays."""

import copy

import pytest
import torch
from narrow import NUM_KNOWN, assert_same_slopes, batch_of, doubled, full, narrow, train_of
from torch import Tensor

from osr_core.data.batches import Batch
from osr_core.methods.base import count_parameters
from osr_core.methods.c2ae.method import C2AE, ByClass
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Training

BATCH = batch_of(3)


def prepared(**settings: object) -> C2AE:
    """On a classifier of random weights, with six training images."""
    method = narrow(C2AE, decoder_width=0.01, **settings)
    classifier = narrow(Softmax).state_dict()
    method.prepare(train_of(batch_of(6)), {"classifier": classifier})
    return method


def slow_error(method: C2AE, weights: dict[str, Tensor], x: Tensor, maps: Tensor, k: int) -> Tensor:
    """The mean |x - G(z_k)| of one image (C, H, W) in [-1, 1], with z_k number by number."""
    z, code = maps.flatten(), [1.0 if j == k else -1.0 for j in range(NUM_KNOWN)]
    conditioned = []
    for i in range(len(z)):
        scale = weights["condition.scale.bias"][i]
        shift = weights["condition.shift.bias"][i]
        for j in range(NUM_KNOWN):
            scale = scale + weights["condition.scale.weight"][i, j] * code[j]
            shift = shift + weights["condition.shift.weight"][i, j] * code[j]
        conditioned.append(scale * z[i] + shift)
    decoder = copy.deepcopy(method.decoder).double()
    own = {n.removeprefix("decoder."): w for n, w in weights.items() if n.startswith("decoder.")}
    given = torch.stack(conditioned).view(1, *maps.shape)
    image = torch.func.functional_call(decoder, own, (given,))[0]
    return (x - image).abs().sum() / x.numel()


def draws() -> tuple[list[int], list[int]]:
    """The other classes and the numbers of their images that a step draws from seed 7."""
    torch.manual_seed(7)
    step = torch.randint(1, NUM_KNOWN, (3,))
    other = ((BATCH.label + step) % NUM_KNOWN).tolist()
    return other, (torch.rand(3) * 2).long().tolist()  # two images in each class


def test_losses_equal_the_formulas() -> None:
    """With x' the drawn image of the other class, z that of the image itself, and gradients."""
    method = prepared(match_weight=0.8)
    (_, weights), train = doubled(method), batch_of(6)
    other, number = draws()
    assert all(j != y for j, y in zip(other, BATCH.label.tolist(), strict=True))
    torch.manual_seed(7)
    losses = method.losses(BATCH)
    with torch.no_grad():
        maps = method.embed_stages(BATCH.images)[1][-1].double()
    match, non_match = torch.zeros(()).double(), torch.zeros(()).double()
    for b in range(3):
        x = 2 * BATCH.images[b].double() - 1
        of_class = [i for i in range(6) if int(train.label[i]) == other[b]]
        x_nm = 2 * train.images[of_class[number[b]]].double() - 1
        match = match + slow_error(method, weights, x, maps[b], int(BATCH.label[b])) / 3
        non_match = non_match + slow_error(method, weights, x_nm, maps[b], other[b]) / 3
    assert float(losses["match"].detach()) == pytest.approx(0.8 * float(match.detach()), rel=1e-5)
    assert float(losses["non_match"].detach()) == pytest.approx(
        0.2 * float(non_match.detach()), rel=1e-5
    )
    slow = 0.8 * match + 0.2 * non_match
    assert_same_slopes(method, sum(losses.values()), weights, slow)


@pytest.mark.parametrize("inference", ["all", "predicted"])
def test_the_score_is_the_error_class_by_class(inference: str) -> None:
    """The smallest of K, or that of the class which the classifier names."""
    method = prepared(inference=inference)
    _, weights = doubled(method)
    with torch.no_grad():
        prediction = method(BATCH.images)
        maps = method.embed_stages(BATCH.images)[1][-1].double()
        for b in range(3):
            x = 2 * BATCH.images[b].double() - 1
            errors = [float(slow_error(method, weights, x, maps[b], k)) for k in range(NUM_KNOWN)]
            named = int(prediction.logits[b].argmax())
            expected = min(errors) if inference == "all" else errors[named]
            assert float(prediction.unknown_score[b]) == pytest.approx(expected, rel=1e-5)


def test_a_step_leaves_the_classifier_as_it_was() -> None:
    """Weights, and the statistics of its batch norms, though the loop calls `train()`."""
    method = prepared()
    before = {n: v.clone() for n, v in method.state_dict().items()}
    method.train()
    assert not any(module.training for module in method.backbone.modules())
    assert method.decoder.training
    optimizers = method.optimizers(Training(optimizer="adam", lr=0.1))
    method.train_step(Batch(*BATCH), optimizers)
    for name, value in method.state_dict().items():
        is_frozen = name.startswith(("backbone", "head"))
        assert torch.equal(value, before[name]) == is_frozen, name


def test_images_of_a_class_are_drawn_evenly() -> None:
    """Each of them, and no other class's, whatever the order of the labels."""
    label = torch.tensor([2, 0, 2, 1, 0, 2])
    by_class = ByClass(train_of(batch_of(6)._replace(label=label)), NUM_KNOWN)
    torch.manual_seed(0)
    drawn = by_class.draw(torch.full((300,), 2))
    each = [(drawn == batch_of(6).images[i]).flatten(1).all(1).sum() for i in (0, 2, 5)]
    assert sum(map(int, each)) == 300
    assert min(map(int, each)) > 70


def test_the_published_sizes() -> None:
    """A decoder of 2,693,891 weights and a condition of 28,672 for six classes."""
    method = full(C2AE)
    assert count_parameters(method.decoder) == 2_693_891
    assert count_parameters(method.condition) == 28_672
