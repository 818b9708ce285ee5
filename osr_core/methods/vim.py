"""ViM: a virtual class whose logit is what an embedding has outside the training images' subspace.

l = W z + b are the classifier's logits, o = -W^+ b the point where all of them vanish.
    residual       R: the D - d directions in which z - o of the training images is least, that is,
                   the eigenvectors of sum_i (z_i - o)(z_i - o)^T but for the d largest
    scale          a = sum_i max_k l_k(i) / sum_i ||R^T (z_i - o)||
    virtual logit  l_0 = a ||R^T (z - o)||
    unknown_score  log(p_0 / (1 - p_0)) = l_0 - log sum_k exp(l_k),  p = softmax(l_0, l_1, ... l_K)

Source: Wang et al., "ViM: out-of-distribution with virtual-logit matching", CVPR 2022.

Deviations, and why:
- The score is the log odds of the paper's p_0: both rank images alike, but p_0 rounds to 1 for the
  images that are least like the known ones. The authors' code does the same.
- d is the paper's, 1000 where D > 1500 and else 512, where that leaves anything: with D <= 512,
  which the paper does not have, it is D / 2.
- A classifier with a hidden layer has no point where its logits vanish: o is 0, as without a bias.
- Where training leaves no residual at all, l_0 is 0 and the score is the energy's order.
"""

import torch
from torch import Tensor, nn

from osr_core.backbones import Backbone
from osr_core.methods.base import MethodConfig
from osr_core.methods.posthoc import PostHoc


def principal_dimensions(dim: int) -> int:
    """d, of D."""
    if dim > 1500:
        return 1000
    return 512 if dim > 512 else dim // 2


def vanishing_point(weight: Tensor, bias: Tensor) -> Tensor:
    """Origin o (D,): the shortest z with W z + b = 0, or nearest to it; W (K, D), b (K,)."""
    origin: Tensor = -torch.linalg.pinv(weight) @ bias
    return origin


def residual_directions(centred: Tensor, num_principal: int) -> Tensor:
    """R (D, D - d): orthonormal, of centred (N, D), in which their squares sum to the least."""
    _, axes = torch.linalg.eigh(centred.T @ centred)  # by ascending sum of squares
    least: Tensor = axes[:, : centred.shape[1] - num_principal]
    return least


class ViM(PostHoc):
    """Softmax's classifier with a virtual class."""

    name = "vim"
    title = "ViM"
    source = "Wang et al., CVPR 2022, section 4"

    origin: Tensor
    residual: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        double, dim = torch.float64, backbone.dim
        left = dim - principal_dimensions(dim)
        self.register_buffer("origin", torch.zeros(dim, dtype=double))
        self.register_buffer("residual", torch.zeros(dim, left, dtype=double))
        self.register_buffer("scale", torch.zeros((), dtype=double))

    def fit_to(self, embedding: Tensor, label: Tensor) -> None:
        z = embedding.double()
        if isinstance(self.head, nn.Linear) and self.head.bias is not None:
            weight, bias = self.head.weight.double(), self.head.bias.double()
            self.origin.copy_(vanishing_point(weight, bias))
        self.residual.copy_(residual_directions(z - self.origin, principal_dimensions(z.shape[1])))
        outside = self.outside(embedding).mean()
        largest = self.head(embedding).double().amax(1).mean()
        self.scale.copy_(torch.where(outside > 0, largest / outside, 0))

    def outside(self, embedding: Tensor) -> Tensor:
        """(B,) length of the residual of embeddings (B, D)."""
        outside: Tensor = ((embedding.double() - self.origin) @ self.residual).norm(dim=1)
        return outside

    def score_at(self, embedding: Tensor, logits: Tensor) -> Tensor:
        virtual = self.scale * self.outside(embedding)
        return virtual - logits.double().logsumexp(1)
