"""OpenHybrid: a classifier and a flow on one embedding.

z is the embedding, D numbers; p the density of a flow (flows.py) of
    u              BN(g z + (1 - g) z~), without scale and shift; z~ is z without its gradient
    cross_entropy  CE(l, y)
    density        w mean(-log p(u)) / D
    loss           the sum of the two
    unknown_score  -log p(u)
`encoder_gradient` g says how much of the density's gradient reaches the network.

g = 1, as printed, destroys itself at w = 1: the likelihood is raised most easily by embeddings that
lie close together, which classes must not. On the first split of digits the coupling flow then ends
with 16.8 % accuracy and an AUROC of 46.4, by g = 0 with 100 and 96.8; the mean over five splits is
97.2; on another processor 98.1 and 96.4 by g = 0. In a prototype the residual flow kept its
accuracy and had 24 to 55. A published reproduction of the sibling "deep hybrid models" reports the
same collapse. Hence g is 0 by default, and 1 for those who want to see it.

A flow that has learned little is worse than none: unknown images lie between the classes, where the
normal distribution is densest, and score low. It takes long training on embeddings that stand
still, as at the end of a cosine.

Source: Zhang et al., "Hybrid models for open set recognition", ECCV 2020. No code by the authors is
public; the weight of the density, over D, is as told.

Deviations, and why, besides g:
- The flow is a coupling by default, at a hundredth of the residual flow's cost; `flow: residual` is
  the paper's, on the pooled embedding instead of maps, with an exact determinant.
- The flow has an optimiser of its own, Adam with its gradient's norm clipped to 1, whose rate
  follows the schedule.
- u is normalised by a batch norm: the density of raw embeddings grows without bound as they shrink.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.backbones.flops import embedding_size, flops_of
from osr_core.config import setting
from osr_core.data.batches import Batch
from osr_core.methods.base import Method, MethodConfig, Prediction, make_optimizer
from osr_core.methods.openhybrid.flows import Flow
from osr_core.recipes import Training
from osr_core.stage import Stage

LARGEST_GRADIENT = 1.0


class OpenHybrid(Method):
    """A linear classifier beside a flow."""

    name = "openhybrid"
    title = "OpenHybrid"
    source = "Zhang et al., ECCV 2020"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy", "density")
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """The flow, its weight and its training."""

        flow: str = setting(
            "coupling", "kind of the flow (paper: residual)", choices=("coupling", "residual")
        )
        flow_blocks: int = setting(8, "blocks of the flow", at_least=1)
        flow_hidden: int = setting(128, "units of a block's hidden layers", at_least=1)
        flow_weight: float = setting(1.0, "w (paper: 1)", at_least=0)
        encoder_gradient: float = setting(
            0.0,
            "g, how much of the density's gradient reaches the network (paper: 1, which collapses)",
            at_least=0,
            at_most=1,
        )
        flow_lr: float = setting(1e-3, "Adam's peak learning rate of the flow", above=0)

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = backbone.classifier(num_known)
        self.norm = nn.BatchNorm1d(backbone.dim, affine=False)
        settings = self.config
        self.static_step &= settings.flow == "coupling"  # singular values wait for the GPU
        self.flow = Flow(settings.flow, backbone.dim, settings.flow_blocks, settings.flow_hidden)

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        """The schedule's for network and head; Adam for the flow."""
        network = [*self.backbone.parameters(), *self.head.parameters()]
        own = replace(
            training, optimizer="adam", lr=self.config.flow_lr, momentum=0.9, weight_decay=0.0
        )
        return {
            "main": make_optimizer(network, training),
            "flow": make_optimizer(self.flow.parameters(), own),
        }

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """One way back for both; the flow's gradient is clipped."""
        terms = self.losses(batch)
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.flow.parameters(), LARGEST_GRADIENT)
        for optimizer in optimizers.values():
            optimizer.step()
        return {name: term.detach() for name, term in terms.items()}

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The flow, forward and back."""
        config, dim = fit.config["method"], embedding_size(fit.config["backbone"])
        flow = [config["flow"], dim, config["flow_blocks"], config["flow_hidden"]]
        return 3 * num_images * fit.effort * flops_of(Flow, flow, (1, dim))

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        share = self.config.encoder_gradient
        given = share * embedding + (1 - share) * embedding.detach()
        surprise = -self.flow.log_density(self.norm(given)).mean() / embedding.shape[1]
        return {
            "cross_entropy": F.cross_entropy(self.head(embedding), label),
            "density": self.config.flow_weight * surprise,
        }

    def predict(self, embedding: Tensor) -> Prediction:
        unknown_score = -self.flow.log_density(self.norm(embedding))
        return Prediction(self.head(embedding), unknown_score, embedding)
