"""OpenHybrid's flows against autograd's Jacobian, a grid and a slow reading of the formulas."""

import pytest
import torch
from narrow import doubled, full
from slow_flows import slow_log_density, whole
from torch import Tensor
from torch.autograd.functional import jacobian

from osr_core.methods.base import count_parameters
from osr_core.methods.openhybrid.flows import Coupling, Flow, Residual, activation, contracting
from osr_core.methods.openhybrid.method import OpenHybrid

KINDS = ("coupling", "residual")


def flow_of(kind: str, dim: int, blocks: int = 3) -> Flow:
    """A flow in float64 that moves a good deal."""
    torch.manual_seed(0)
    flow = Flow(kind, dim, blocks, 8).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return flow


def strained(kind: str) -> Flow:
    """One whose bounds are reached in some of its blocks, and in others not."""
    flow = flow_of(kind, 5, blocks=4)
    with torch.no_grad():
        for block in list(flow.blocks)[:2]:
            if isinstance(block, Coupling):
                block.mlp[4].weight *= 10
            else:
                block.middle.weight *= 0.1
                block.steepness.copy_(torch.tensor([-1.0, 2.0]))
    return flow


def strains(flow: Flow, u: Tensor) -> list[float]:
    """How many times its bound the largest number is that each block is to keep below it."""
    return [
        float(block.mlp(block.halves(u)[0]).chunk(2, 1)[0].abs().max()) / 2
        if isinstance(block, Coupling)
        else float(torch.linalg.svdvals(block.middle.weight)[0]) / 0.9
        for block in flow.blocks
    ]


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_and_its_gradients_are_the_formulas(kind: str) -> None:
    """By every parameter and by u: a part that is taken for a constant would train another flow."""
    flow, u = strained(kind), points(3, 5).requires_grad_()
    with torch.no_grad():
        assert min(strains(flow, u)) < 0.9 < 1.2 < max(strains(flow, u))
    _, weights = doubled(flow)
    density = flow.log_density(u)
    slow_u = u.detach().requires_grad_()
    slow = torch.stack([slow_log_density(weights, kind, row) for row in slow_u])
    torch.testing.assert_close(density, slow)
    for row in u:
        torch.testing.assert_close(flow(row[None])[0][0], whole(weights, kind, row))
    (density * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
    (slow * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
    torch.testing.assert_close(u.grad, slow_u.grad)
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name
        torch.testing.assert_close(parameter.grad, weights[name].grad, msg=name)


def test_the_published_sizes() -> None:
    """332,800 weights of a coupling flow and 398,352 of a residual one at D = 128."""
    sizes = {kind: count_parameters(full(OpenHybrid, flow=kind).flow) for kind in KINDS}
    assert sizes == {"coupling": 332_800, "residual": 398_352}
