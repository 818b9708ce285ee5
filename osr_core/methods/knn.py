"""k-NN: the distance to the k-th nearest training image, among directions of embeddings.

    training       the softmax classifier's, with its fit shared where the settings are equal
    bank           u_i = z_i / ||z_i|| of all known training images, un-augmented
    unknown_score  ||u - u_(k)||, u_(k) the k-th nearest of the bank              (section 3)

Source: Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022.

Deviations, and why:
- The whole bank is searched, without an index of it.
- Where there are fewer than k training images, the farthest of them is taken.
- k is the paper's for CIFAR-10, 50, on every dataset; the paper tunes it for each. A k beyond the
  size of a class measures the way to the next class, and misleads.

The bank's size is that of the training set, which the score stage is not told: loading weights
gives it the size found there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.methods.base import MethodConfig
from osr_core.methods.posthoc import PostHoc
from osr_core.methods.softmax import Softmax


def kth_distance(directions: Tensor, bank: Tensor, k: int) -> Tensor:
    """(B,) distance of unit vectors (B, D) to the k-th nearest of the bank's (N, D).

    All in float64: |u - v|^2 = |u|^2 + |v|^2 - 2 u.v loses half its digits where it is small, and
    in float32 the order of all neighbours within 3e-4 with them.
    """
    u, v = directions.double(), bank.double()
    farness = v.square().sum(1) / 2 - u @ v.T
    nearest = farness.topk(min(k, len(v)), dim=1, largest=False).indices
    distance: Tensor = (u - v[nearest[:, -1]]).norm(dim=1)
    return distance


class KNN(PostHoc):
    """Softmax's classifier with a bank of training embeddings."""

    name = "knn"
    title = "k-NN"
    source = "Sun et al., ICML 2022, section 3"
    of_any_size = ("bank",)

    @dataclass(frozen=True, kw_only=True)
    class Config(Softmax.Config):
        """The number of neighbours."""

        neighbours: int = setting(
            50,
            "k (paper: 50 for CIFAR-10)",
            at_least=1,
            read_by="score",
            if_few="its k-th neighbours lie in other classes",
        )

    bank: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.register_buffer("bank", torch.zeros(1, backbone.dim))  # (N, D) once calibrated

    def fit_to(self, embedding: Tensor, label: Tensor) -> None:
        self.bank = F.normalize(embedding, dim=1)

    def score_at(self, embedding: Tensor, logits: Tensor) -> Tensor:
        return kth_distance(F.normalize(embedding, dim=1), self.bank, self.config.neighbours)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As every module's, but the bank takes the size that the weights have."""
        if "bank" in state_dict:
            self.bank = self.bank.new_empty(state_dict["bank"].shape)
        return super().load_state_dict(state_dict, strict, assign)
