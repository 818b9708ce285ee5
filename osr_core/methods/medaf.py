"""MEDAF: multi-expert diverse attention fusion.

E experts and a gate stand on one stem (`Backbone.stem`). An expert is a copy of the layers behind
it (`Backbone.behind_stem`) and a 1x1 convolution without bias to K class maps M_e; the gate is one
more copy, pooled, and two linear layers D -> D / 4 -> E. GAP is the mean over positions:
    experts        w_e sum_e CE(l_e, y),  l_e = GAP(M_e)
    gate           w_g CE(l, y),  l = sum_e p_e l_e without their gradient,  p = softmax(gate / 100)
    diversity      w_d mean sum_{d < e} cos(a_d, a_e)
                   a_e = ReLU(m_e - mean m_e),  m_e = M_{e,y} / ||M_{e,y}||
    loss           the sum of the three
    logits         l
    unknown_score  -max_k softmax(l / 100)_k, as its log odds
Cosine, norm and mean are over positions.

Source: Wang et al., "Exploring diverse representations for open set recognition", AAAI 2024.
Authors' code: Vanixxz/MEDAF.

Deviations, and why:
- The code takes the cosine over an axis of length one, so that a term is the share of positions at
  which both a are above 0, and has next to no gradient. Here it is over positions, as in the paper.
- The code's slicing shares nothing but the first convolution, and gives the gate one of its own, so
  that it holds four nearly whole networks. Here experts and gate share the stem: of a ResNet all
  but the last group of blocks.
- The paper's score has parts that the code gives no weight; they are left out.
- The schedule's RandAugment is ours, so that all methods draw from one set of operations, see
  `strongly_augmented`. ResNet-18 is torchvision's; the code has leaky ReLUs inside its blocks.
Copies start alike, as in the code: what tells experts apart at first is their class maps.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, build_backbone
from osr_core.backbones.flops import flops_of, stem_shape
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch
from osr_core.methods.base import (
    ImageMethod,
    MethodConfig,
    Prediction,
    descend,
    log_odds_of_unknown,
)
from osr_core.methods.learner import refuse_lost_embeddings
from osr_core.precision import backbone_precision
from osr_core.recipes import Recipe, Training, strongly_augmented
from osr_core.stage import Stage

TEMPERATURE = 100.0  # of the gate, and of the score (authors' code)


def behind_stem(backbone: Mapping[str, Any]) -> nn.Module:
    """The layers of a network that each expert has of its own."""
    return build_backbone(backbone).behind_stem()


def diversity(maps: Tensor) -> Tensor:
    """() mean over images of the sum over pairs of experts of cos(a_d, a_e), of maps (B, E, H, W).

    0 where no two experts look at the same positions; a map without any contrast looks at none.
    """
    unit = F.normalize(maps.flatten(2), dim=2)
    above = F.relu(unit - unit.mean(2, keepdim=True))
    attention = F.normalize(above, dim=2, eps=1e-6)  # shorter ones are rounding
    return (attention @ attention.mT).triu(1).sum((1, 2)).mean()


class MEDAF(ImageMethod):
    """Experts that look at different places, and a gate that weighs what they say."""

    name = "medaf"
    title = "MEDAF"
    source = "Wang et al., AAAI 2024"
    terms: ClassVar[tuple[str, ...]] = ("experts", "gate", "diversity")
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """How many experts, and the weights of the terms."""

        experts: int = setting(3, "E (paper: 3)", at_least=2, at_most=64)
        expert_weight: float = setting(0.7, "w_e (authors' code: 0.7)", at_least=0)
        gate_weight: float = setting(1.0, "w_g (authors' code: 1)", at_least=0)
        diversity_weight: float = setting(0.01, "w_d (authors' code: 0.01)", at_least=0)

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        width, experts = backbone.stage_channels[-1], self.config.experts
        layers = backbone.behind_stem()
        self.others = nn.ModuleList(deepcopy(layers) for _ in range(experts))  # the last: the gate
        self.to_maps = nn.ModuleList(
            nn.Conv2d(width, num_known, 1, bias=False) for _ in range(experts)
        )
        hidden = max(1, width // 4)
        self.gate = nn.Sequential(nn.Linear(width, hidden), nn.Linear(hidden, experts))

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' code: SGD, a tenth of the rate after 130 of 150 epochs, on a ResNet-18."""
        training = Training(
            epochs=150,
            weight_decay=1e-5,
            schedule="steps",
            drops=(130 / 150,),
            augmentation=strongly_augmented(benchmark),
        )
        return Recipe(backbone={"name": "resnet18", "stem": "small"}, training=training)

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The copies of the layers behind the stem, forward and back."""
        backbone = fit.config["backbone"]
        experts: int = fit.config["method"]["experts"]
        copy = flops_of(behind_stem, [backbone], stem_shape(backbone))
        return 3 * num_images * fit.effort * experts * copy

    def seen(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (B, D) of the first expert, class maps (B, E, K, H, W), gated logits (B, K)."""
        with backbone_precision(images.device, training=self.training):
            stem = self.backbone.stem(images)
            branches = [layers(stem) for layers in (self.backbone.behind_stem(), *self.others)]
            embedding = self.backbone.pool(branches[0]).float()
        if not self.training:
            refuse_lost_embeddings(embedding)
        *experts, gate = [each.float() for each in branches]
        maps = torch.stack([conv(x) for conv, x in zip(self.to_maps, experts, strict=True)], 1)
        weight = (self.gate(gate.mean((2, 3))) / TEMPERATURE).softmax(1)
        gated = (weight[:, :, None] * maps.detach().mean((3, 4))).sum(1)
        return embedding, maps, gated

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """Besides the terms, "cosine": the mean over pairs of experts, which w_d = 0 hides."""
        terms, apart = self.terms_and_diversity(batch)
        descend(optimizers["main"], torch.stack(list(terms.values())).sum())
        found = {**terms, "cosine": apart / math.comb(self.config.experts, 2)}
        return {name: number.detach() for name, number in found.items()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.terms_and_diversity(batch)[0]

    def terms_and_diversity(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The terms, and () the third without its weight."""
        _, maps, gated = self.seen(batch.images)
        rows = torch.arange(len(maps), device=maps.device)
        by_expert = [F.cross_entropy(logits, batch.label) for logits in maps.mean((3, 4)).unbind(1)]
        apart = diversity(maps[rows, :, batch.label])
        terms = {
            "experts": self.config.expert_weight * torch.stack(by_expert).sum(),
            "gate": self.config.gate_weight * F.cross_entropy(gated, batch.label),
            "diversity": self.config.diversity_weight * apart,
        }
        return terms, apart

    def forward(self, images: Tensor) -> Prediction:
        embedding, _, gated = self.seen(images)
        return Prediction(gated, log_odds_of_unknown(gated / TEMPERATURE), embedding)
