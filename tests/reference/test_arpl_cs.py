"""ARPL with confusing samples: F as a loop, the players one by one, the published networks."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.batches import Batch
from osr_core.means import Means
from osr_core.methods.arpl import ARPL
from osr_core.methods.arpl_cs.gan import NOISE, Discriminator, Generator
from osr_core.methods.arpl_cs.method import ARPLCS, confusion, fake_loss, real_loss, variety
from osr_core.methods.arpl_cs.norms import DoubledBatchNorm, double_batch_norms, fake_norms
from osr_core.methods.base import descend
from osr_core.recipes import Training

DISTANCES = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 2.0]], dtype=torch.float64)
LOGITS = torch.tensor([0.3, -2.0, 1.5], dtype=torch.float64)


def count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def small_method() -> ARPLCS:
    """A method of a few thousand weights on grey images of 16 pixels, without dropout."""
    torch.manual_seed(0)
    network = resolve_backbone({"width": 0.05, "dropout": 0.0}, image_size=16, channels=1)
    return ARPLCS(build_backbone(network), 3, ARPLCS.Config(gan_width=2)).train()


def a_batch() -> Batch:
    """Six images of three classes."""
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6))


def test_confusion_equals_the_formula() -> None:
    """F = exp(mean_u sum_k q_k log q_k), q the softmax of the distances."""
    negative_entropy = 0.0
    for row in DISTANCES.tolist():
        total = sum(math.exp(d) for d in row)
        negative_entropy += sum(math.exp(d) / total * math.log(math.exp(d) / total) for d in row)
    expected = math.exp(negative_entropy / len(DISTANCES))
    assert float(confusion(DISTANCES)) == pytest.approx(expected, rel=1e-12)


def test_confusion_is_least_for_an_undecided_network() -> None:
    """By hand: 1 / K where all distances are equal, 1 where one class has it all."""
    assert float(confusion(DISTANCES[1:])) == pytest.approx(1 / 3)
    sure = torch.tensor([[0.0, 5000.0, 0.0]], requires_grad=True)
    value = confusion(sure)
    value.backward()
    assert float(value.detach()) == 1
    assert sure.grad is not None
    assert torch.isfinite(sure.grad).all()


def test_losses_of_the_discriminator_equal_binary_cross_entropy() -> None:
    """-log sigmoid for those that should pass for real, -log(1 - sigmoid) for fakes."""
    p = [1 / (1 + math.exp(-logit)) for logit in LOGITS.tolist()]
    assert float(real_loss(LOGITS)) == pytest.approx(-sum(map(math.log, p)) / 3)
    assert float(fake_loss(LOGITS)) == pytest.approx(-sum(math.log(1 - x) for x in p) / 3)


def test_gradients() -> None:
    """Against finite differences."""
    distances, logits = DISTANCES.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(confusion, distances)
    assert torch.autograd.gradcheck(real_loss, logits)
    assert torch.autograd.gradcheck(fake_loss, logits)


def test_networks_have_the_published_numbers_of_parameters() -> None:
    """3.45 and 11.0 million at 32 pixels; at 64 the generator is the DCGAN paper's, and the authors
    have the discriminator of 32 pixels.
    """
    assert count(Generator(32, 3, 64)) == 3_448_576
    assert count(Discriminator(32, 3, 64)) == 11_018_753
    assert count(Generator(64, 3, 64)) == 3_576_704
    assert count(Discriminator(64, 3, 64)) == 11_018_753


@pytest.mark.parametrize(("side", "left"), [(8, 1), (16, 1), (28, 4), (32, 1), (64, 5)])
def test_the_discriminators_last_convolution_has_stride_1(side: int, left: int) -> None:
    """models/gan.py of iCGY96/ARPL: its maps are 16, 8, 4 and 1 of 32 pixels and 32, 16, 8 and 5 of
    64, the last one without padding; the last of 28 is 4, of which a stride of 2 would make 2.
    """
    seen: list[torch.Size] = []
    discriminator = Discriminator(side, 3, 2)
    last = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)][-1]
    last.register_forward_hook(lambda _, __, maps: seen.append(maps.shape))
    discriminator(torch.rand(2, 3, side, side))
    assert seen == [(2, 32, left, left)]


def test_the_discriminator_normalises_all_maps_but_the_first_and_the_last() -> None:
    """In the authors' order: 128, 256, 512 and 1024 channels, a sigmoid at the end."""
    layers = list(Discriminator(64, 3, 64).layers)
    assert [m.out_channels for m in layers if isinstance(m, nn.Conv2d)] == [128, 256, 512, 1024]
    assert [m.num_features for m in layers if isinstance(m, nn.BatchNorm2d)] == [256, 512]
    assert isinstance(layers[-1], nn.Sigmoid)


def test_scoring_takes_no_more_parameters_than_arpl() -> None:
    """Both players and the batch norms of fakes are for training only."""
    network = resolve_backbone({"width": 0.05, "dropout": 0.0}, image_size=16, channels=1)
    plain = ARPL(build_backbone(network), 3, ARPL.Config())
    ours = small_method()
    assert ours.num_parameters() == plain.num_parameters() == count(plain)
    assert count(ours) > count(plain)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 16, 20, 28, 32, 64])
def test_networks_fit_any_side(side: int, channels: int) -> None:
    """Fakes are images of the dataset's shape, in [0, 1] as images are, at any width."""
    fakes = Generator(side, channels, 1)(torch.randn(3, NOISE)).detach()
    assert fakes.shape == (3, channels, side, side)
    assert 0 <= float(fakes.min()) < float(fakes.max()) <= 1
    assert Discriminator(side, channels, 1)(fakes).shape == (3,)


def test_fakes_leave_the_real_batch_norms_alone() -> None:
    """Statistics and weights: each set sees its own images."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    maps = torch.rand(4, 1, 8, 8)
    before = network.eval()(maps)
    double_batch_norms(network)
    assert torch.equal(network(maps), before)
    norm = network[1]
    assert isinstance(norm, DoubledBatchNorm)
    network.train()
    with fake_norms(network):
        network(maps + 1).sum().backward()
    assert norm.real.weight.grad is None
    assert norm.fake.weight.grad is not None
    assert int(norm.fake.num_batches_tracked) == 1
    assert torch.equal(norm.real.running_mean, torch.zeros(2))
    network(maps)
    assert int(norm.fake.num_batches_tracked) == int(norm.real.num_batches_tracked) == 1


def test_scores_use_the_real_batch_norms() -> None:
    """Fakes exist in training only."""
    method, batch = small_method(), a_batch()
    method.losses(batch)
    method.eval()
    before = method(batch.images).logits
    for module in method.modules():
        if isinstance(module, DoubledBatchNorm):
            nn.init.constant_(module.fake.weight, 7.0)
            module.fake.running_mean.fill_(3.0)
    assert torch.equal(method(batch.images).logits, before)
    with fake_norms(method.backbone):
        assert not torch.equal(method(batch.images).logits, before)


def slow_step(method: ARPLCS, batch: Batch, lr: float) -> None:
    """The players one after the other, with plain sigmoids and logarithms."""
    one, zero = torch.ones(len(batch.label)), torch.zeros(len(batch.label))
    beta, network = 0.1, [*method.backbone.parameters(), method.points, method.radius]

    def judged(images: Tensor) -> Tensor:
        return torch.sigmoid(method.discriminator(images))

    def undecided(fakes: Tensor) -> Tensor:
        with fake_norms(method.backbone):
            z = method.backbone(fakes)
        d = ((z[:, None, :] - method.points[None]) ** 2).sum(2) / z.shape[1]
        q = d.softmax(1)
        return ((q * (q + 1e-12).log()).sum(1)).mean().exp()

    def real() -> Tensor:
        z, p, rows = method.backbone(batch.images), method.points, torch.arange(len(batch.label))
        d = ((z[:, None, :] - p[None]) ** 2).sum(2) / z.shape[1]
        margin = F.margin_ranking_loss(
            method.radius.expand(len(rows)), d[rows, batch.label], one, margin=1.0
        )
        return F.cross_entropy(d - z @ p.T, batch.label) + 0.1 * margin

    def adam(player: nn.Module, loss: Tensor) -> None:
        parameters = list(player.parameters())
        for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = slope
        torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999)).step()

    def plain(loss: Tensor) -> None:
        slopes = torch.autograd.grad(loss, network, allow_unused=True)
        with torch.no_grad():
            for parameter, slope in zip(network, slopes, strict=True):
                parameter -= 0 if slope is None else lr * slope

    fakes = method.generator(torch.randn(len(batch.label), NOISE))
    on_real, on_fakes = judged(batch.images), judged(fakes.detach())
    adam(
        method.discriminator,
        F.binary_cross_entropy(on_real, one) + F.binary_cross_entropy(on_fakes, zero),
    )
    adam(
        method.generator,
        F.binary_cross_entropy(judged(fakes), one) + beta * undecided(fakes),
    )
    new = method.generator(torch.randn(len(batch.label), NOISE))
    plain(real() + beta * undecided(new))
    plain(real())


def test_a_step_is_the_published_one() -> None:
    """Discriminator, generator, network with new fakes, network without: all weights agree."""
    ours, batch = small_method(), a_batch()
    with torch.no_grad():
        ours.points *= 30  # so far that the network is not undecided from the start
    slow = copy.deepcopy(ours)
    optimizers = ours.optimizers(Training(lr=0.01, momentum=0.0, weight_decay=0.0))
    before = {name: value.clone() for name, value in ours.named_parameters()}
    torch.manual_seed(5)
    ours.train_step(batch, optimizers)
    torch.manual_seed(5)
    slow_step(slow, batch, lr=0.01)
    for name, parameter in slow.named_parameters():
        torch.testing.assert_close(dict(ours.named_parameters())[name], parameter, msg=name)
        assert not torch.equal(parameter, before[name]), name


def test_terms_come_in_the_order_of_the_steps() -> None:
    """Of terms that one batch loses, a fit names the first; how much fakes differ is told last."""
    method, batch = small_method(), a_batch()
    assert method.terms == ("discriminator", "generator", "confusion", "cross_entropy", "margin")
    assert tuple(method.losses(batch)) == method.terms
    told = method.train_step(batch, method.optimizers(Training(lr=0.01)))
    assert tuple(told) == (*method.terms, "variety")
    assert not any(number.requires_grad for number in told.values())


@pytest.mark.parametrize(
    ("player", "first"),
    [("discriminator", "discriminator"), ("generator", "discriminator"), ("backbone", "generator")],
)
def test_the_term_that_is_lost_first_is_that_of_the_first_step(player: str, first: str) -> None:
    """Of weights that are lost before a batch; the steps behind it lose theirs by it."""
    method, means = small_method(), Means()
    next(method.get_submodule(player).parameters()).data.fill_(torch.nan)
    told = method.train_step(a_batch(), method.optimizers(Training()))
    means.add(told, 6)
    assert means.lost_terms().startswith(f"{first} was lost first, in batch 1; then ")


def test_variety_is_the_fakes_deviation_over_that_of_the_images() -> None:
    """Pixel by pixel over a batch; 1 = they differ as much, 0 = all are alike."""
    images = torch.tensor([[[[0.0, 0.2]]], [[[1.0, 0.6]]]])  # deviations 0.5 and 0.2
    assert float(variety(images, images)) == 1
    assert float(variety(0.5 * images, images)) == pytest.approx(0.5)
    assert float(variety(images[:1].expand(2, -1, -1, -1), images)) == 0
    assert math.isfinite(float(variety(images, images[:1].expand(2, -1, -1, -1))))


@pytest.mark.parametrize("player", ["main", "generator", "discriminator"])
def test_each_player_moves_its_own_weights(player: str) -> None:
    """With the others' rates at 0 nothing else changes."""
    method, batch = small_method(), a_batch()
    optimizers = method.optimizers(Training(lr=0.01))
    for role, optimizer in optimizers.items():
        optimizer.param_groups[0]["lr"] *= float(role == player)
    before = {name: value.clone() for name, value in method.named_parameters()}
    method.train_step(batch, optimizers)
    moved = {
        name.split(".")[0]
        for name, value in method.named_parameters()
        if not torch.equal(value, before[name])
    }
    network = {"backbone", "points", "radius"}
    assert moved == (network if player == "main" else {player})


def test_a_player_leaves_no_gradient_with_another() -> None:
    """What the generator learns from passes through the other two networks."""
    mine, other = (nn.Parameter(torch.ones(())) for _ in range(2))
    descend(torch.optim.SGD([mine], lr=0.1), mine * other)
    assert float(mine.detach()) == pytest.approx(0.9)
    assert other.grad is None


def test_generator_and_discriminator_have_the_published_optimiser() -> None:
    """Adam at 2e-4 with betas 0.5 and 0.999, whatever trains the network."""
    optimizers = small_method().optimizers(Training(weight_decay=0.1))
    for player in ("generator", "discriminator"):
        group = optimizers[player].param_groups[0]
        assert isinstance(optimizers[player], torch.optim.Adam)
        settings = (group["lr"], group["initial_lr"], group["betas"], group["weight_decay"])
        assert settings == (2e-4, 2e-4, (0.5, 0.999), 0)
