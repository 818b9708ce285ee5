"""PMAL: prototype mining and learning.

    training       U softmax classifiers; T prototypes P_k mined for each class (topology.py,
                   mining.py); then, from the first classifier's weights,
    loss           L = CE(l, y) + lambda_p L_p,  L_p a margin on the point-to-set distances
                   d(z, P_k) (distance.py), z the embedding and P_k the prototypes' embeddings
    unknown_score  min_k d(z, P_k) ("distance"), or log odds of 1 - max_k p_k ("probability")
    logits         those of the classifier

Source: Lu et al., "PMAL: open set recognition via robust prototype mining", AAAI 2022.

Deviations cannot be told, since no code was published. Choices that the paper leaves open:
- Prototypes are embedded from un-augmented images in eval mode and without gradient ("fixed
  anchors"): all of them before each epoch and then every `embed_every` steps, 10 by default. The
  rule is the same for every T, or Table 5 would compare fresh embeddings with older ones beside
  the values of T. With K T prototypes and batches of B it takes K T forward passes each time,
  about K T / (3 B embed_every) of a fit: 5 % at K T = 200 and B = 128, 16 % at 600.
- A training image that is a prototype is trained on like any other.
- The fit starts from the first classifier's weights and takes the full schedule; `warm_start` off
  starts afresh.
- z is the backbone's output, not normalised in the attention.
- The score's distances are in float64: 1 - cos in float32 has no more than 17 million values, and
  is 0 for all embeddings within 3e-4 of a prototype's direction.
How robustness is scaled (`robustness`) is argued in docs/pmal.md.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from osr_core.backbones import Backbone
from osr_core.backbones.flops import forward_flops
from osr_core.context import StageFunction
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batches, to_float
from osr_core.kinds import Kind
from osr_core.methods.base import MethodConfig, Prediction
from osr_core.methods.pmal.config import PMALConfig
from osr_core.methods.pmal.distance import attention_distances, margin_loss, nearest_distances
from osr_core.methods.pmal.stage import MINE, mine
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Recipe, pmal_published
from osr_core.stage import Stage
from osr_core.trial import Trial

CHUNK = 512  # images embedded together
OF_ENSEMBLES = ("robustness", "deep_ensembles")  # the others need the first classifier alone


class PMAL(Softmax):
    """Softmax's classifier, drawn to mined prototypes."""

    name = "pmal"
    title = "PMAL"
    source = "Lu et al., AAAI 2022"
    terms = ("cross_entropy", "prototype")
    version = 3
    static_step = True

    Config = PMALConfig
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {MINE: mine}

    prototypes: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        shape = (num_known, self.config.prototypes, backbone.dim)
        self.register_buffer("prototypes", torch.zeros(shape))  # embeddings
        self.prototype_images: Tensor | None = None  # (K T, C, H, W) uint8, while training
        self.age = 0  # steps taken since the prototypes were embedded

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        config = trial.config
        num_members = config.members if config.quality in OF_ENSEMBLES else 1
        members = [trial.fit(Softmax, member=u) for u in range(num_members)]
        by_role = {f"member{u}": member for u, member in enumerate(members)}
        mined = trial.stage(MINE, "mine", inputs=by_role)
        warm = {"classifier": members[0]} if config.warm_start else {}
        return trial.fit(role="learning", inputs={**warm, "prototypes": mined})

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        return pmal_published(benchmark)

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The prototypes' ways forward: at both ends, in each epoch once, once more where there is
        validation, and every `embed_every` steps.
        """
        training = fit.config["training"]
        steps = math.ceil(num_images / training["batch_size"])
        in_epoch = 1 + (training["validation"] > 0)
        in_epoch += (steps - 1) // fit.config["method"]["embed_every"]
        per_class: int = fit.inputs["prototypes"].config["method"]["prototypes"]
        embedded = (2 + fit.effort * in_epoch) * per_class * len(fit.config["task"]["known"])
        return float(embedded * forward_flops(fit.config["backbone"]))

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take the mined images and, where there is one, the first classifier's weights."""
        images = inputs["prototypes"]["images"].to(train.labels.device)
        shape = (*images.shape[:2], self.backbone.dim)  # T as mined: a fit is not told of it
        self.prototypes = torch.zeros(shape, device=images.device)
        self.prototype_images = images.flatten(0, 1)
        if "classifier" in inputs:
            self.load_classifier(inputs["classifier"])
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Embed the prototypes anew, in eval mode; a loaded method keeps the embeddings it has."""
        if self.prototype_images is None:
            return
        was_training = self.backbone.training
        self.backbone.eval()
        chunks = [
            self.embed(to_float(images)) for images in torch.split(self.prototype_images, CHUNK)
        ]
        self.backbone.train(was_training)
        self.prototypes.copy_(torch.cat(chunks).view_as(self.prototypes))
        self.age = 0

    def before_step(self) -> None:
        """Embed the prototypes where their embeddings are old."""
        if self.age == self.config.embed_every:
            self.refresh()
        self.age += 1

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        loss = margin_loss(self.distances(embedding), label, self.config.margin)
        weighted = self.config.prototype_weight * loss
        return {**super().losses_at(embedding, label), "prototype": weighted}

    def predict(self, embedding: Tensor) -> Prediction:
        classified = super().predict(embedding)
        if self.config.rejection == "probability":
            return classified
        nearest = self.distances(embedding.double()).amin(1)
        return classified._replace(unknown_score=nearest.float())

    def calibrate(self, train: Batches) -> None:
        """The prototypes' final embeddings, which are all that scoring needs of them."""
        self.refresh()

    def prototype_embeddings(self) -> Tensor:
        return self.prototypes

    def distances(self, embedding: Tensor) -> Tensor:
        """(B, K) from each embedding (B, D) to the prototypes of each class, in its precision."""
        attention = self.config.distance == "attention"
        measure = attention_distances if attention else nearest_distances
        return measure(embedding, self.prototypes.to(embedding.dtype))
