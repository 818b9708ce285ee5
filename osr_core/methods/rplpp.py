"""RPL++: reciprocal points and prototypes, trained together. This is our reading.

z in R^D is the embedding, P_kj the reciprocal points of class k and R_k its radius (rpl.py), m_k a
prototype of class k; all squared distances are divided by D:
    cross_entropy  -log softmax(gamma l)_y,  l_k = (1/M) sum_j d(z, P_kj) - d(z, m_k)
    open_space     RPL's
    prototype      lambda_m d(z, m_y) / 2, CPN's
    loss           the sum of the three, batch means
    logits         gamma l
    unknown_score  -max_k l_k ("distance"), or log odds of 1 - max_k softmax(gamma l)_k
                   ("probability")

Source: a row of Table 2 in Lu et al., "PMAL: open set recognition via robust prototype mining",
AAAI 2022, which gives neither a formula nor a reference beyond RPL's.

Deviations cannot be told. What the reading rests on: the table's count of parameters is two vectors
per class, one more than RPL's, so a prototype per class beside the reciprocal point. Far from the
one and near to the other both speak for a class, hence the difference; each part keeps its own
regulariser, both at weight 0.1. In l the squares of z cancel, so it is linear in z.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.methods.base import MethodConfig
from osr_core.methods.cpn import nearest_own, scaled_distances
from osr_core.methods.rpl import RPL


class RPLPlusPlus(RPL):
    """Classes are far from their reciprocal points and near to their prototype."""

    name = "rplpp"
    title = "RPL++"
    source = "Lu et al., AAAI 2022, Table 2 (our reading)"
    version = 2
    terms = ("cross_entropy", "open_space", "prototype")
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(RPL.Config):
        """RPL's, and the pull of the prototypes."""

        prototype_weight: float = setting(0.1, "lambda_m (as lambda)", at_least=0)

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.prototypes = nn.Parameter(0.1 * torch.randn(num_known, 1, backbone.dim))

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        distances = scaled_distances(embedding, self.prototypes)
        pull = self.config.prototype_weight * nearest_own(distances, label) / 2
        return {**super().losses_at(embedding, label), "prototype": pull}

    def num_additional_parameters(self) -> int:
        return super().num_additional_parameters() + self.prototypes.numel()

    def farness(self, embedding: Tensor) -> Tensor:
        """(B, K) l: how far from the reciprocal points, less how far from the prototype."""
        near = scaled_distances(embedding, self.prototypes.to(embedding.dtype)).mean(2)
        return super().farness(embedding) - near
