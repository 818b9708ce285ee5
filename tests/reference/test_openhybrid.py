"""OpenHybrid's flows against autograd's Jacobian and a grid, and its loss against the formula."""

import math

import pytest
import torch
from narrow import NUM_KNOWN, batch_of, full, narrow
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.nn import functional as F

from osr_core.methods.base import count_parameters
from osr_core.methods.openhybrid.flows import Coupling, Flow, Residual, activation, contracting
from osr_core.methods.openhybrid.method import OpenHybrid
from osr_core.recipes import Training

KINDS = ("coupling", "residual")


def flow_of(kind: str, dim: int, blocks: int = 3) -> Flow:
    """A flow in float64 that moves a good deal."""
    torch.manual_seed(0)
    flow = Flow(kind, dim, blocks, 8).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return flow


def points(num: int, dim: int) -> Tensor:
    """Standard normal."""
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [2, 5])
def test_the_log_determinant_is_that_of_the_jacobian(kind: str, dim: int) -> None:
    """Point by point, to rounding: exact, not estimated; an odd number of dimensions too."""
    flow = flow_of(kind, dim)
    _, log_det = flow(points(4, dim))
    for row, found in zip(points(4, dim), log_det, strict=True):
        whole = jacobian(lambda u: flow(u[None])[0][0], row)
        assert float(found.detach()) == pytest.approx(
            float(torch.linalg.slogdet(whole).logabsdet), abs=1e-9
        )


def inverse_of(flow: Flow, v: Tensor) -> Tensor:
    """Block by block from the last: the other half moved back, or a fixed point."""
    for block, log_scale, shift in zip(
        reversed(flow.blocks), flow.log_scale.flip(0), flow.shift.flip(0), strict=True
    ):
        v = (v - shift) / log_scale.exp()
        if isinstance(block, Coupling):
            given, moved = block.halves(v)
            scale, move = block.moves(given)
            v = block.whole(given, (moved - move) / scale.exp())
        else:
            u = v
            for _ in range(200):
                u = v - (block(u)[0] - u)
            v = u
    return v


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_can_be_gone_back(kind: str) -> None:
    """Else it has no density."""
    flow, u = flow_of(kind, 5), points(6, 5)
    with torch.no_grad():
        torch.testing.assert_close(inverse_of(flow, flow(u)[0]), u)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_sums_to_one(kind: str) -> None:
    """Over a grid in the plane."""
    flow = flow_of(kind, 2, blocks=2)
    axis = torch.linspace(-14, 14, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_density(grid).exp()
    assert float(density.sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1, abs=1e-3)


def test_the_halves_take_turns() -> None:
    """Else one half of the embedding would keep the density that it has."""
    flow = flow_of("coupling", 5, blocks=2)
    u = points(1, 5)
    first, both = flow.blocks[0](u)[0], flow.blocks[1](u)[0]
    assert torch.equal(first[:, :2], u[:, :2])
    assert torch.equal(both[:, 2:], u[:, 2:])


def test_a_residual_block_adds_a_contraction() -> None:
    """The largest singular value of J is below 0.9^3, wherever it is taken, so I + J has a
    positive determinant.
    """
    torch.manual_seed(0)
    block = Residual(4, 8).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter *= 5
    for row in points(5, 4):
        moved = jacobian(lambda u: (block(u[None])[0] - u)[0], row)
        assert float(torch.linalg.matrix_norm(moved, 2)) < 0.9**3
    weight = torch.diag(torch.tensor([2.0, 0.5]))
    assert torch.equal(contracting(weight), weight * 0.45)
    assert torch.equal(contracting(0.1 * weight), 0.1 * weight)


def test_the_activation_s_slope_is_its_derivative_and_at_most_one() -> None:
    """A slope of 1.0998 is the steepest of x sigmoid(b x)."""
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64, requires_grad=True)
    for steepness in (0.5, 1.0, 3.0):
        value, slope = activation(x, torch.tensor(steepness).double())
        (derivative,) = torch.autograd.grad(value.sum(), x)
        torch.testing.assert_close(slope, derivative)
        assert bool((slope.abs() < 1).all())


def slow_layer(weight: Tensor, bias: Tensor, x: list[float]) -> list[float]:
    """W x + b."""
    rows = zip(weight.tolist(), bias.tolist(), strict=True)
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in rows]


def test_a_coupling_moves_by_a_bounded_scale_and_a_shift() -> None:
    """(2 tanh(s / 2), t), (s, t) = MLP(u_a), number by number, where s is well above 2."""
    (block,) = flow_of("coupling", 4, blocks=1).blocks
    with torch.no_grad():
        block.mlp[4].weight *= 10
    for u in points(3, 4):
        x = u[:2].tolist()
        for layer in (block.mlp[0], block.mlp[2]):
            x = [max(v, 0.0) for v in slow_layer(layer.weight, layer.bias, x)]
        x = slow_layer(block.mlp[4].weight, block.mlp[4].bias, x)
        expected = [2 * math.tanh(s / 2) for s in x[:2]], x[2:]
        assert max(map(abs, x[:2])) > 2
        for found, slow in zip(block.moves(u[None, :2]), expected, strict=True):
            assert found[0].tolist() == pytest.approx(slow, rel=1e-12)


def test_a_residual_block_is_the_formula() -> None:
    """It is u + W_2 a(W_1 a(W_0 u)), a(x) = x sigmoid(softplus(b) x) / 1.1."""
    (block,) = flow_of("residual", 3, blocks=1).blocks
    with torch.no_grad():
        block.steepness.copy_(torch.tensor([-1.0, 2.0]))
    layers = [block.first, block.middle, block.last]
    for u in points(3, 3):
        x = u.tolist()
        for number, layer in enumerate(layers):
            if number:
                b = math.log(1 + math.exp(block.steepness[number - 1].item()))
                x = [v / (1 + math.exp(-b * v)) / 1.1 for v in x]
            x = slow_layer(contracting(layer.weight), layer.bias, x)
        expected = [v + moved for v, moved in zip(u.tolist(), x, strict=True)]
        assert block(u[None])[0][0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gradient", [0.0, 0.3, 1.0])
def test_losses_equal_the_formulas(gradient: float) -> None:
    """CE, and w mean(-log p(u)) / D with u over the batch's deviation, image by image."""
    method = narrow(OpenHybrid, flow_hidden=4, flow_weight=0.7, encoder_gradient=gradient).double()
    method.train()
    dim, label = method.backbone.dim, torch.tensor([0, 1, 2, 0])
    z = points(4, dim).requires_grad_()
    losses = method.losses_at(z, label)
    mean, variance = z.mean(0), ((z - z.mean(0)) ** 2).mean(0)
    u = (z - mean) / (variance + 1e-5).sqrt()
    entropy, surprise = torch.zeros(()).double(), torch.zeros(()).double()
    for b in range(4):
        logits = z[b] @ method.head.weight.T
        entropy = entropy + (logits.logsumexp(0) - logits[label[b]]) / 4
        v, log_det = method.flow(u[b : b + 1])
        normal = -0.5 * sum(x**2 + math.log(2 * math.pi) for x in v[0])
        surprise = surprise - (normal + log_det[0]) / dim / 4
    ours = torch.stack([losses["cross_entropy"], losses["density"]])
    torch.testing.assert_close(ours, torch.stack([entropy, 0.7 * surprise]))
    own = torch.autograd.grad(sum(losses.values()), [z, *method.flow.parameters()])
    of_entropy = torch.autograd.grad(entropy, z, retain_graph=True)[0]
    of_surprise = torch.autograd.grad(0.7 * surprise, [z, *method.flow.parameters()])
    torch.testing.assert_close(own[0], of_entropy + gradient * of_surprise[0])
    for slope, slow in zip(own[1:], of_surprise[1:], strict=True):
        torch.testing.assert_close(slope, slow)


def test_the_score_is_the_surprise() -> None:
    """By the running statistics, each image by itself."""
    method, batch = narrow(OpenHybrid, flow_hidden=4), batch_of(3)
    with torch.no_grad():
        prediction = method(batch.images)
        z = method.embed(batch.images)
        expected = -method.flow.log_density((z - method.norm.running_mean) / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(prediction.unknown_score, expected)
    assert prediction.logits.shape == (3, NUM_KNOWN)


def test_a_step_is_sgd_for_the_network_and_clipped_adam_for_the_flow() -> None:
    """A first step of Adam moves each weight by its rate; the network moves by lr times CE's."""
    method, batch = narrow(OpenHybrid, flow_hidden=4, flow_lr=0.01), batch_of(6)
    method.train()
    before = {name: value.clone() for name, value in method.named_parameters()}
    training = Training(lr=0.5, momentum=0.0, weight_decay=0.0)
    optimizers = method.optimizers(training)
    assert isinstance(optimizers["flow"], torch.optim.Adam)
    entropy = F.cross_entropy(method.head(method.embed(batch.images)), batch.label)
    slope = torch.autograd.grad(entropy, [method.head.weight])[0]
    method.train_step(batch, optimizers)
    moved = method.head.weight - before["head.weight"]
    torch.testing.assert_close(moved, -0.5 * slope)
    gradients = torch.cat([p.grad.flatten() for p in method.flow.parameters()])
    assert float(gradients.norm()) <= 1 + 1e-5
    shift = (method.flow.shift - before["flow.shift"]).abs().detach()
    assert float(shift.max()) == pytest.approx(0.01, rel=1e-3)


def test_the_published_sizes() -> None:
    """332,800 weights of a coupling flow and 398,352 of a residual one at D = 128."""
    sizes = {kind: count_parameters(full(OpenHybrid, flow=kind).flow) for kind in KINDS}
    assert sizes == {"coupling": 332_800, "residual": 398_352}
