"""PROSER: placeholders for open-set recognition.

A trained softmax classifier is given a dummy output and fine-tuned. l in R^K are the known
classes' logits, d = max_c d_c the largest of C outputs of a dummy head, class K + 1:
    cross_entropy  CE([l, d], y)
    dummy          beta CE([l without l_y, d], K + 1): the dummy comes second, after the true class
    data           gamma CE([l, d](h), K + 1),  h = b h_i + (1 - b) h_j,  y_i != y_j, b ~ Beta(a, a)
    loss           the sum of the three, batch means; the first half of a batch is mixed for "data",
                   the second half has the other two
    logits         l;  unknown_score = d - max_k l_k
h_i is what the first half of the network, `Backbone.stem`, makes of image i (manifold mixup).

Source: Zhou et al., "Learning placeholders for open-set recognition", CVPR 2021. Authors' code: the
weights (beta = 1, gamma = 0.01), the schedule, b drawn once for each batch.

Deviations, and why:
- Pairs of one class, which the code does not avoid, count nothing in "data": a mixture within a
  class is of that class. A half batch of one class only has "data" 0.
- The score is the limit of the code's p_{K+1} - max_k p_k with p = softmax([l, d] / 1024), which is
  (d - max_k l_k) / 1024 / (K + 1) but for terms of order 1 / 1024^2. In float32 little is left of
  it. Nothing is taken as max(AUROC, 1 - AUROC), as the code does.
- Both halves of a batch pass the second half of the network together, so that no batch norm meets
  a single image in a small batch; the code passes them one after the other.
- `published` is the code's, which is for CIFAR-10; other datasets are trained alike, digits without
  flips. Its network has dropout and, before the known classes alone, a bottleneck (wrn.py says what
  differs). The code fine-tunes its classifier as it is after 60 of 200 epochs; `published` ends
  there.
- The optimiser is made once, not for each epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributions import Beta

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch, Batches
from osr_core.methods.base import MethodConfig, Prediction
from osr_core.methods.softmax import Softmax, smoothed_cross_entropy
from osr_core.precision import backbone_precision
from osr_core.recipes import Augmentation, Recipe, Training
from osr_core.stage import Stage
from osr_core.trial import Trial


def with_dummy(logits: Tensor, dummy: Tensor) -> Tensor:
    """(B, K + 1): logits (B, K) and the dummy's (B,)."""
    return torch.cat([logits, dummy[:, None]], 1)


def dummy_loss(logits: Tensor, dummy: Tensor, label: Tensor) -> Tensor:
    """() batch mean of -log P(dummy) where the true class cannot be chosen; logits (B, K)."""
    others = logits.scatter(1, label[:, None], -torch.inf)
    return (with_dummy(others, dummy).logsumexp(1) - dummy).mean()


def data_loss(logits: Tensor, dummy: Tensor, differ: Tensor) -> Tensor:
    """() mean of -log P(dummy) over mixtures of two classes: those where differ (B,) is true."""
    each = with_dummy(logits, dummy).logsumexp(1) - dummy
    return (each * differ).sum() / differ.sum().clamp_min(1)


class PROSER(Softmax):
    """Softmax's classifier with a place kept for the unknown."""

    name = "proser"
    title = "PROSER"
    source = "Zhou et al., CVPR 2021, section 4"
    version = 2
    terms = ("cross_entropy", "dummy", "data")
    divisible = False
    static_step = False  # the weight of a mixture is drawn on the CPU

    @dataclass(frozen=True, kw_only=True)
    class Config(Softmax.Config):
        """Dummies, weights of their losses, and the fine-tuning."""

        dummies: int = setting(
            1, "C, outputs of the dummy head (authors' code: 1)", at_least=1, at_most=10_000
        )
        dummy_weight: float = setting(1.0, "beta (authors' code: 1)", at_least=0)
        data_weight: float = setting(0.01, "gamma (authors' code: 0.01)", at_least=0)
        mixup: float = setting(
            1.0, "a, both parameters of the Beta (authors' code: 1)", at_least=1e-3, at_most=1e3
        )
        fine_tuning_epochs: int = setting(
            10, "passes after the classifier's (authors' code: 10)", at_least=1, read_by="recipe"
        )
        fine_tuning_lr: float = setting(
            1e-3, "their constant learning rate (authors' code: 0.001)", above=0, read_by="recipe"
        )

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.dummy = nn.Linear(backbone.dim, self.config.dummies)

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        """The Softmax row's classifier, by the trial's schedule; then a fine-tuning by its own."""
        config = trial.config
        fine_tuning = replace(
            trial.training,
            epochs=config.fine_tuning_epochs,
            lr=config.fine_tuning_lr,
            schedule="steps",
            warmup_epochs=0,
            drops=(),
        )
        classifier = trial.fit(Softmax)
        return trial.fit(
            role="fine_tuning", training=fine_tuning, inputs={"classifier": classifier}
        )

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' code: network, and classifier's schedule up to the epoch fine-tuned."""
        network = {"name": "wrn", "depth": 28, "widen": 10.0, "dropout": 0.3, "bottleneck": 50}
        training = Training(
            epochs=60,
            weight_decay=5e-4,
            schedule="steps",
            drops=(50 / 60,),
            augmentation=Augmentation(crop_padding=4, flip=benchmark.known.mirrored),
        )
        return Recipe(backbone=network, training=training)

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take the classifier's weights; the dummy head keeps those it was made with."""
        self.load_classifier({**inputs["classifier"], **self.dummy.state_dict(prefix="dummy.")})

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        half = len(batch.label) // 2
        embedding, differ = self.embed_mixed(batch, half)
        classified = self.losses_at(embedding[half:], batch.label[half:])
        mixed = data_loss(self.head(embedding[:half]), self.dummy_logit(embedding[:half]), differ)
        return {**classified, "data": self.config.data_weight * mixed}

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The terms but "data", which is not at embeddings of images."""
        logits, dummy = self.head(embedding), self.dummy_logit(embedding)
        smoothing = self.config.label_smoothing
        return {
            "cross_entropy": smoothed_cross_entropy(with_dummy(logits, dummy), label, smoothing),
            "dummy": self.config.dummy_weight * dummy_loss(logits, dummy, label),
        }

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """As for every method, on all images; "data" on mixtures of the first half."""
        return {**super().validation(batch), "data": self.losses(batch)["data"]}

    def predict(self, embedding: Tensor) -> Prediction:
        logits = self.head(embedding)
        return Prediction(logits, self.dummy_logit(embedding) - logits.amax(1), embedding)

    def dummy_logit(self, embedding: Tensor) -> Tensor:
        """(B,) d at embeddings (B, D)."""
        largest: Tensor = self.dummy(embedding).amax(1)
        return largest

    def embed_mixed(self, batch: Batch, half: int) -> tuple[Tensor, Tensor]:
        """(B, D) embeddings, the first `half` of them of mixtures; (half,) whether of two classes.

        Pairs and their weight come from torch's global generator.
        """
        device = batch.images.device
        partner = torch.randperm(half, device=device)
        mixup = self.config.mixup
        weight = Beta(mixup, mixup, validate_args=False).sample()
        with backbone_precision(device, training=self.training):
            first, second = self.backbone.stem(batch.images).tensor_split([half])
            mixed = weight * first + (1 - weight) * first[partner]
            embedding = self.backbone.tail(torch.cat([mixed, second]))
        return embedding.float(), batch.label[:half] != batch.label[:half][partner]
