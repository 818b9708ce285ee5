"""Two invertible maps of D numbers whose density is known exactly.

    coupling  blocks of h, the one half of the numbers, that say how the other half is moved:
              u_b <- u_b exp(s) + t,  (2 tanh^-1(s / 2), t) = MLP(u_a);  the halves take turns
    residual  u <- u + W_2 a(W_1 a(W_0 u)),  a(x) = x sigmoid(softplus(b) x) / 1.1, each W scaled so
              that its largest singular value is at most 0.9, and so the whole is a contraction
After each block every number has a scale and a shift of its own. The log determinant of a residual
block is log det(I + J), J = W_2 diag(a') W_1 diag(a') W_0: exact and deterministic, where the
papers' code estimates a series at random, in eval mode too. It takes D^3 operations for an image,
and is meant for D of a pooled embedding.

Sources: Dinh et al., "Density estimation using Real NVP", ICLR 2017; Chen et al., "Residual flows
for invertible generative modeling", NeurIPS 2019.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LARGEST_SCALE = 2.0  # of a coupling, as a logarithm
COEFFICIENT = 0.9  # of a residual block's weights
STEEPEST = 1.1  # slope of x sigmoid(x), rounded up


class Coupling(nn.Module):
    """One half moved by the other; `swapped` says which."""

    def __init__(self, dim: int, hidden: int, swapped: bool) -> None:
        super().__init__()
        self.swapped, self.first = swapped, dim // 2
        given = dim - self.first if swapped else self.first
        moved = dim - given
        last = nn.Linear(hidden, 2 * moved)
        self.mlp = nn.Sequential(
            nn.Linear(given, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
        )
        nn.init.normal_(last.weight, 0, 1e-3)  # nearly the identity, and a gradient reaches all
        nn.init.zeros_(last.bias)

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """What u (B, D) becomes, and the log determinant (B,)."""
        given, moved = self.halves(u)
        scale, shift = self.moves(given)
        return self.whole(given, moved * scale.exp() + shift), scale.sum(1)

    def moves(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the scale, and the shift."""
        scale, shift = self.mlp(given).chunk(2, 1)
        return LARGEST_SCALE * torch.tanh(scale / LARGEST_SCALE), shift

    def halves(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The half that stays, and the one that is moved."""
        first, second = u[:, : self.first], u[:, self.first :]
        return (second, first) if self.swapped else (first, second)

    def whole(self, given: Tensor, moved: Tensor) -> Tensor:
        """Both in their places."""
        return torch.cat([moved, given] if self.swapped else [given, moved], 1)


class Residual(nn.Module):
    """u and a contraction of it, added."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(dim, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, dim)
        self.steepness = nn.Parameter(torch.full((2,), 0.5))  # b of the two activations

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """As of a coupling."""
        jacobian = contracting(self.first.weight)
        v = F.linear(u, jacobian, self.first.bias)
        for steepness, layer in zip(self.steepness, (self.middle, self.last), strict=True):
            weight = contracting(layer.weight)
            value, slope = activation(v, F.softplus(steepness))
            v = F.linear(value, weight, layer.bias)
            jacobian = weight @ (slope[:, :, None] * jacobian)
        whole = torch.eye(u.shape[1], dtype=u.dtype, device=u.device) + jacobian
        log_det: Tensor = torch.linalg.slogdet(whole).logabsdet
        return u + v, log_det


def contracting(weight: Tensor) -> Tensor:
    """A matrix, scaled down where its largest singular value is above COEFFICIENT."""
    largest: Tensor = torch.linalg.matrix_norm(weight, 2)
    return weight * (COEFFICIENT / largest).clamp_max(1)


def activation(x: Tensor, steepness: Tensor) -> tuple[Tensor, Tensor]:
    """a(x) and a'(x), the slope between -1 and 1."""
    gate = torch.sigmoid(steepness * x)
    slope = gate + steepness * x * gate * (1 - gate)
    return x * gate / STEEPEST, slope / STEEPEST


class Flow(nn.Module):
    """Blocks of a kind, a scale and a shift after each; what comes out is standard normal."""

    def __init__(self, kind: str, dim: int, blocks: int, hidden: int) -> None:
        super().__init__()
        made = [
            Coupling(dim, hidden, bool(number % 2)) if kind == "coupling" else Residual(dim, hidden)
            for number in range(blocks)
        ]
        self.blocks = nn.ModuleList(made)
        self.log_scale = nn.Parameter(torch.zeros(blocks, dim))
        self.shift = nn.Parameter(torch.zeros(blocks, dim))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """What u (B, D) becomes, and the log determinant (B,)."""
        log_det = u.new_zeros(len(u))
        for block, log_scale, shift in zip(self.blocks, self.log_scale, self.shift, strict=True):
            u, own = block(u)
            u = u * log_scale.exp() + shift
            log_det = log_det + own + log_scale.sum()
        return u, log_det

    def log_density(self, u: Tensor) -> Tensor:
        """(B,) log p(u)."""
        v, log_det = self(u)
        density: Tensor = log_det - (v.square() + math.log(2 * math.pi)).sum(1) / 2
        return density
