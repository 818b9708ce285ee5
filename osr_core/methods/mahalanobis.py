"""Mahalanobis: distance to the nearest class mean, in units of the spread inside classes.

    training       the softmax classifier's, with its fit shared where the settings are equal
    mean           mu_k = mean z_i over the training images of class k            (Eq. 1)
    covariance     S = 1/N sum_k sum_{i in k} (z_i - mu_k)(z_i - mu_k)^T, shared by the classes
    unknown_score  min_k (z - mu_k)^T S^+ (z - mu_k)                              (Eq. 2)

Source: Lee et al., "A simple unified framework for detecting out-of-distribution samples and
adversarial attacks", NeurIPS 2018.

Deviations, and why:
- The embedding only: the paper's sum over layers has weights fitted to unknown images, and its
  input perturbation a size chosen by them.
- S^+ is the pseudo-inverse, as in the authors' code; directions with less than 1e-10 of the largest
  variance count as having none, since float32 embeddings are not exact beyond. It makes S usable
  where a unit never fires and where there are fewer images than dimensions; what lies in such a
  direction is not seen.
"""

import torch
from torch import Tensor

from osr_core.backbones import Backbone
from osr_core.methods.base import MethodConfig
from osr_core.methods.posthoc import PostHoc

LEAST_VARIANCE = 1e-10  # of the largest


def class_means(embedding: Tensor, label: Tensor, num_known: int) -> Tensor:
    """(K, D) means of embeddings (N, D) by label (N,); each class has an image."""
    return torch.stack([embedding[label == k].mean(0) for k in range(num_known)])


def whitening(centred: Tensor) -> Tensor:
    """W (D, D) with W W^T = S^+, the pseudo-inverse of the covariance of centred (N, D)."""
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = variance > LEAST_VARIANCE * variance[-1]
    scaled: Tensor = axes * torch.where(kept, variance, torch.inf).rsqrt()
    return scaled


class Mahalanobis(PostHoc):
    """Softmax's classifier with class means and a covariance."""

    name = "mahalanobis"
    title = "Mahalanobis"
    source = "Lee et al., NeurIPS 2018, section 2.1"

    means: Tensor
    whitening: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        double, dim = torch.float64, backbone.dim
        self.register_buffer("means", torch.zeros(num_known, dim, dtype=double))
        self.register_buffer("whitening", torch.zeros(dim, dim, dtype=double))

    def fit_to(self, embedding: Tensor, label: Tensor) -> None:
        self.means.copy_(class_means(embedding.double(), label, self.num_known))
        self.whitening.copy_(whitening(embedding.double() - self.means[label]))

    def score_at(self, embedding: Tensor, logits: Tensor) -> Tensor:
        z, means = embedding.double() @ self.whitening, self.means @ self.whitening
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(z, means, compute_mode=mode).amin(1).square()
