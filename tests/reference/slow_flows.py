"""OpenHybrid's flows from their bare parameters, one vector at a time.

The log determinant is that of autograd's Jacobian of the whole map, and so are its gradients.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.autograd.functional import jacobian


def contracted(weight: Tensor) -> Tensor:
    """A matrix whose largest singular value is at most 0.9."""
    largest = torch.linalg.svdvals(weight)[0]
    return weight * 0.9 / largest if largest > 0.9 else weight


def residual(weights: Mapping[str, Tensor], block: str, u: Tensor) -> Tensor:
    """A residual block: u + W_2 a(W_1 a(W_0 u)), a(x) = x sigmoid(softplus(b) x) / 1.1."""
    steepness = (1 + weights[f"{block}.steepness"].exp()).log()
    x = u
    for number, layer in enumerate(("first", "middle", "last")):
        if number:
            x = x / (1 + (-steepness[number - 1] * x).exp()) / 1.1
        weight, bias = weights[f"{block}.{layer}.weight"], weights[f"{block}.{layer}.bias"]
        x = contracted(weight) @ x + bias
    return u + x


def coupling(weights: Mapping[str, Tensor], block: str, u: Tensor, *, swapped: bool) -> Tensor:
    """A coupling: u_b exp(2 tanh(s / 2)) + t, (s, t) = MLP(u_a); swapped, u_b is the first half."""
    first, second = u[: len(u) // 2], u[len(u) // 2 :]
    x, moved = (second, first) if swapped else (first, second)
    for layer in (0, 2, 4):
        weight, bias = (weights[f"{block}.mlp.{layer}.{name}"] for name in ("weight", "bias"))
        x = weight @ (x.clamp_min(0) if layer else x) + bias
    s, t = x[: len(moved)], x[len(moved) :]
    moved = moved * (2 * torch.tanh(s / 2)).exp() + t
    return torch.cat([moved, second] if swapped else [first, moved])


def whole(weights: Mapping[str, Tensor], kind: str, u: Tensor) -> Tensor:
    """Block by block, each followed by its scale and shift."""
    for number, (log_scale, shift) in enumerate(
        zip(weights["log_scale"], weights["shift"], strict=True)
    ):
        block = f"blocks.{number}"
        if kind == "residual":
            u = residual(weights, block, u)
        else:
            u = coupling(weights, block, u, swapped=number % 2 == 1)
        u = u * log_scale.exp() + shift
    return u


def slow_log_density(weights: Mapping[str, Tensor], kind: str, u: Tensor) -> Tensor:
    """Of one u (D,): log N(v; 0, I) + log |det dv/du|."""
    v = whole(weights, kind, u)
    slopes = jacobian(lambda x: whole(weights, kind, x), u, create_graph=True)
    normal = -(v @ v + len(u) * math.log(2 * math.pi)) / 2
    log_density: Tensor = normal + slopes.det().abs().log()
    return log_density
