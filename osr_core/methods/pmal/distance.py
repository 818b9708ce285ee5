"""How far an image is from a class's prototypes: PMAL's embedding optimisation (section 4.3).

z in R^D is an embedding, p_1..p_T are those of one class's prototypes:
    weights        w = softmax_t(z . p_t / sqrt(D)),  z_att = sum_t w_t p_t       (Eq. 11)
    distance       d = 1 - cos(z, z_att), in [0, 2]                               (Eq. 11)
    loss           [d_y - min_{k != y} d_k + delta]_+, batch mean                 (Eq. 9)
The equations need only products of embeddings: z . z_att is the w-weighted mean of z . p_t, and
|z_att|^2 = w^T G w with the prototypes' Gram matrix G, so no (B, K, D) tensor is made.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-12  # smallest squared length that is divided by


def attention_distances(embedding: Tensor, prototypes: Tensor) -> Tensor:
    """(B, K) distances of embeddings (B, D) to each class's attended prototype; (K, T, D)."""
    products = torch.einsum("bd,ktd->bkt", embedding, prototypes)
    weights = (products / math.sqrt(embedding.shape[1])).softmax(2)
    gram = prototypes @ prototypes.transpose(1, 2)
    attended = torch.einsum("bks,kst,bkt->bk", weights, gram, weights)
    lengths = embedding.square().sum(1, keepdim=True) * attended
    return 1 - (weights * products).sum(2) / lengths.clamp_min(TINY).sqrt()


def nearest_distances(embedding: Tensor, prototypes: Tensor) -> Tensor:
    """(B, K) cosine distances to each class's nearest prototype: Table 3 without sets."""
    directions = F.normalize(prototypes, dim=2)
    cosines = torch.einsum("bd,ktd->bkt", F.normalize(embedding, dim=1), directions)
    return 1 - cosines.amax(2)


def margin_loss(distances: Tensor, label: Tensor, margin: float) -> Tensor:
    """() mean of [d_y - nearest other d + margin]_+ over distances (B, K), label (B,)."""
    own = distances.gather(1, label[:, None])
    others = distances.scatter(1, label[:, None], math.inf).amin(1)
    return (own[:, 0] - others + margin).relu().mean()
