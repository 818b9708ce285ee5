"""PROSER's losses and score against the formulas as loops, and how images are mixed."""

import math

import pytest
import torch
from torch import Tensor

from osr_core.backbones import Backbone, BackboneConfig, build_backbone, resolve_backbone
from osr_core.data import BENCHMARKS
from osr_core.data.batches import Batch
from osr_core.data.splits import ClassSplit
from osr_core.methods.proser import PROSER, data_loss, dummy_loss, with_dummy
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Augmentation, Training
from osr_core.training import drop_epochs, lr_factor
from osr_core.trial import Trial

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 3.0, 0.5], [1.0, 1.0, 1.0]], dtype=torch.float64)
DUMMY = torch.tensor([0.5, 1.0, -2.0], dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1])
DIFFER = torch.tensor([True, False, True])


def small_method(image_size: int = 16, **settings: float) -> PROSER:
    """A method of a few thousand weights on grey images, without dropout."""
    torch.manual_seed(0)
    network = {"width": 0.05, "dropout": 0.0, "init": "kaiming"}  # embeddings above rounding
    resolved = resolve_backbone(network, image_size=image_size, channels=1)
    return PROSER(build_backbone(resolved), 3, PROSER.Config(**settings))


def batch_of(num: int, image_size: int = 16) -> Batch:
    """`num` images with labels 0, 1, 2, 0, ..."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(num, 1, image_size, image_size, generator=generator)
    return Batch(images, torch.arange(num) % 3, torch.arange(num))


def test_dummy_loss_equals_the_formula() -> None:
    """Cross-entropy of the dummy among the other classes and itself."""
    expected = 0.0
    for row, d, y in zip(LOGITS.tolist(), DUMMY.tolist(), LABEL.tolist(), strict=True):
        total = math.exp(d) + sum(math.exp(v) for k, v in enumerate(row) if k != y)
        expected -= math.log(math.exp(d) / total) / len(LOGITS)
    assert float(dummy_loss(LOGITS, DUMMY, LABEL)) == pytest.approx(expected, rel=1e-12)


def test_dummy_loss_does_not_see_the_true_class() -> None:
    """By hand: of l = (9, 0), y = 0 and d = 0 two equal logits are left."""
    logits = torch.tensor([[9.0, 0.0]], requires_grad=True)
    loss = dummy_loss(logits, torch.zeros(1), torch.tensor([0]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(2))
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[0.0, 0.5]]))


def test_data_loss_equals_the_formula() -> None:
    """A mean over the mixtures of two classes alone: here the first and the third."""
    terms = []
    for row, d in zip(LOGITS.tolist(), DUMMY.tolist(), strict=True):
        total = math.exp(d) + sum(math.exp(v) for v in row)
        terms.append(-math.log(math.exp(d) / total))
    expected = (terms[0] + terms[2]) / 2
    assert float(data_loss(LOGITS, DUMMY, DIFFER)) == pytest.approx(expected, rel=1e-12)


def test_without_two_classes_there_is_no_data_loss() -> None:
    """A small or sorted batch may have one class only; a mean over nothing would be NaN."""
    logits = LOGITS.clone().requires_grad_()
    loss = data_loss(logits, DUMMY, torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_gradients() -> None:
    """Against finite differences."""
    inputs = (LOGITS.clone().requires_grad_(), DUMMY.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda logits, d: dummy_loss(logits, d, LABEL), inputs)
    assert torch.autograd.gradcheck(lambda logits, d: data_loss(logits, d, DIFFER), inputs)


def test_terms_are_weighted() -> None:
    """Cross-entropy over K + 1 classes with weight 1; beta and gamma for the others."""
    embedding = torch.randn(3, small_method().backbone.dim)
    method = small_method(dummy_weight=3.0)
    logits, dummy = method.head(embedding), method.dummy(embedding)[:, 0]
    terms = method.losses_at(embedding, LABEL)
    plain = torch.nn.functional.cross_entropy(with_dummy(logits, dummy), LABEL)
    torch.testing.assert_close(terms["cross_entropy"], plain)
    torch.testing.assert_close(terms["dummy"], 3 * dummy_loss(logits, dummy, LABEL))

    def data(weight: float) -> float:
        weighted = small_method(data_weight=weight)
        torch.manual_seed(2)
        return float(weighted.losses(batch_of(12))["data"].detach())

    assert data(0.5) == pytest.approx(5 * data(0.1)) != 0


def test_score_is_the_published_one_in_the_limit() -> None:
    """p_{K+1} - max_k p_k at T = 1024 is (d - max_k l_k) / T / (K + 1), to a part in a hundred."""
    p = (with_dummy(LOGITS, DUMMY) / 1024).softmax(1)
    published = p[:, -1] - p[:, :-1].amax(1)
    ours = DUMMY - LOGITS.amax(1)
    torch.testing.assert_close(published * 1024 * 4, ours, rtol=1e-2, atol=0)
    assert torch.equal(published.argsort(), ours.argsort())


def test_the_largest_dummy_counts() -> None:
    """Of C outputs, as the unknown may be near to any of them."""
    method = small_method(dummies=4).eval()
    images = batch_of(5).images
    prediction = method(images)
    outputs = method.dummy(prediction.embedding)
    assert outputs.shape == (5, 4)
    largest = torch.stack([max(row) for row in outputs])
    torch.testing.assert_close(prediction.unknown_score, largest - prediction.logits.amax(1))


def test_images_are_mixed_between_the_halves_of_the_network() -> None:
    """Image by image: the first half of the batch, one weight for all; the rest is as it is."""
    method, batch = small_method(mixup=2.0).eval(), batch_of(7)
    torch.manual_seed(3)
    embedding, differ = method.embed_mixed(batch, 3)
    torch.manual_seed(3)
    partner = torch.randperm(3).tolist()
    b = float(torch.distributions.Beta(2.0, 2.0).sample())
    assert partner != [0, 1, 2]
    assert abs(b - 0.5) > 0.05
    assert embedding.abs().max() > 0.01
    maps = [method.backbone.stem(image[None]) for image in batch.images]
    mixed = [b * maps[i] + (1 - b) * maps[j] for i, j in enumerate(partner)]
    expected = torch.cat([method.backbone.tail(m) for m in [*mixed, *maps[3:]]])
    torch.testing.assert_close(embedding, expected)
    assert differ.tolist() == [partner[i] != i for i in range(3)]


@pytest.mark.parametrize("dropout_at", ["before", "after"])
def test_two_halves_make_the_network(dropout_at: str) -> None:
    """The middle is after six of nine convolutions: maps of a quarter of the side."""
    settings = {"width": 0.1, "dropout_at": dropout_at}
    backbone = build_backbone(resolve_backbone(settings, image_size=32, channels=3)).eval()
    images = torch.rand(2, 3, 32, 32)
    maps = backbone.stem(images)
    assert maps.shape[2:] == (8, 8)
    assert torch.equal(backbone.tail(maps), backbone(images))


def test_a_network_without_halves_mixes_images() -> None:
    """The documented default of a backbone that says nothing of its middle."""

    class Sums(Backbone):
        dim, head_bias = 1, True

        def forward(self, images: Tensor) -> Tensor:
            return images.sum((1, 2, 3))[:, None]

    backbone, images = Sums(BackboneConfig(image_size=8, channels=1)), torch.rand(2, 1, 8, 8)
    assert torch.equal(backbone.stem(images), images)
    assert torch.equal(backbone.tail(images), backbone(images))


def test_the_published_recipe_is_the_code_s() -> None:
    """Zhou et al.: WRN-28-10, crop and flip without RandAugment, a tenth from epoch 50 on."""
    recipe = PROSER.published(BENCHMARKS["cifar10"])
    network = {"name": "wrn", "depth": 28, "widen": 10.0, "dropout": 0.3, "bottleneck": 50}
    assert recipe.backbone == network
    training = recipe.training
    assert training.augmentation == Augmentation(crop_padding=4, flip=True)
    assert (training.epochs, training.batch_size, training.weight_decay) == (60, 128, 5e-4)
    assert drop_epochs(training) == [50]
    assert [lr_factor(training, epoch) for epoch in (0, 49, 50)] == pytest.approx([1, 1, 0.1])
    assert not PROSER.published(BENCHMARKS["mnist"]).training.augmentation.flip


def test_the_dummy_head_has_a_bias_and_no_bottleneck() -> None:
    """It is made as a plain linear layer on the embedding, whatever the known classes have."""
    assert small_method().dummy.bias is not None
    network = {"name": "wrn", "depth": 10, "widen": 0.5, "bottleneck": 5}
    backbone = build_backbone(resolve_backbone(network, image_size=16, channels=1))
    method = PROSER(backbone, 3, PROSER.Config())
    assert method.dummy.in_features == backbone.dim
    layers = [type(layer).__name__ for layer in method.head]
    assert layers == ["Linear", "ReLU", "Linear"]
    assert (method.head[0].out_features, method.head[2].out_features) == (5, 3)


def test_the_smallest_batch_can_be_trained_on() -> None:
    """Two images, one in each half, of maps of one pixel: a batch norm needs both together."""
    method = small_method(image_size=8).train()
    losses = method.losses(batch_of(2, image_size=8))
    assert all(torch.isfinite(term) for term in losses.values())


def trial(**settings: float) -> Trial:
    """A trial on digits; nothing of it is run."""
    split = ClassSplit(
        benchmark="digits",
        protocol="own",
        index=0,
        known_from="digits",
        known=(0, 1, 2),
        unknown_from="digits",
        unknown=(3,),
    )
    return Trial(
        method=PROSER,
        config=PROSER.Config(**settings),
        split=split,
        fingerprints={"digits/train": "a", "digits/test": "b"},
        backbone=resolve_backbone({}, image_size=16, channels=1),
        training=Training(warmup_epochs=10, schedule="steps", drops=(0.5,), batch_size=32),
        seed=0,
    )


def test_fine_tuning_has_a_schedule_of_its_own() -> None:
    """The trial's schedule is the classifier's; ten epochs at a constant 0.001 follow."""
    fine_tuning = trial().score.inputs["model"]
    classifier = fine_tuning.inputs["classifier"]
    assert classifier.id == trial().fit(Softmax).id
    assert classifier.config["training"]["epochs"] == 200
    changed = {"epochs": 10, "lr": 0.001, "warmup_epochs": 0, "drops": []}
    assert fine_tuning.config["training"] == {**classifier.config["training"], **changed}


def test_the_classifier_is_shared_by_all_fine_tunings() -> None:
    """A grid over the fine-tuning trains one classifier."""
    settings = ({}, {"fine_tuning_epochs": 3}, {"fine_tuning_lr": 0.01}, {"data_weight": 1.0})
    fits = [trial(**chosen).score.inputs["model"] for chosen in settings]
    assert len({fit.id for fit in fits}) == 4
    assert len({fit.inputs["classifier"].id for fit in fits}) == 1
