"""CSSR: class-specific semantic reconstruction.

x are the backbone's last maps (`Backbone.stages`) of D channels, and each class has an auto-encoder
of what stands at one position. Norms and means without an index are over channels:
    A_k            V_k tanh(U_k x), D -> `latent` -> D without biases
    errors         m_k = -g ||x - A_k(x)||_1, from -100 to 100; of RCSSR (`reciprocal`) +g instead
    logits         l_k = log mean_positions softmax(m)_k
    cross_entropy  CE(l, y) = -l_y, the loss
From un-augmented training images, c(x) = argmax_k l_k, and from all with c(x) = c and positions:
    features       F_c = mean |x|, each channel divided by its sum over the classes
    gram           G_c = mean gram(x),  gram(x)_ij = (sum_positions (x_i x_j)^8)^(1/8)
    reconstruction r_1 = mean_positions m_c / (mean |x|)^2; of RCSSR m_c alone
    responses      r_2 = mean_positions mean F_c x,  r_3 = sum_ij G_c,ij gram(x)_ij
    unknown_score  -sum_i of r_i, standardised over the training images ("sum"), or -r_1

Source: Huang et al., "Class-specific semantic reconstruction for open set recognition", TPAMI 2022.
Authors' code: xyzedd/CSSR, methods/cssr.py, of which the score is.

Deviations, and why:
- Responses and their standard come from un-augmented images; the code standardises by images that
  it has cropped, changed and scaled at random.
- A channel or position that is 0 everywhere has no response; the code divides by it.
- Sums of 16th powers are in float64, where they neither overflow nor vanish.
- The schedule's RandAugment is ours, so that all methods draw from one set of operations, see
  `strongly_augmented`; cutout is none of them. SGD has no momentum, as in the code; the paper tells
  0.9, and 130 epochs before the first drop.
- The networks are those of the other methods here, with plain ReLUs. The code's have leaky ones, of
  slope 0.1 and with batch norms of momentum 0.001 in WRN-40-4, of 0.01 in ResNet-18's blocks.
Errors beyond 100 have no gradient, as in the code: maps must not grow so large that no class can
reconstruct them. G takes K D^2 numbers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.backbones.flops import flops_of, stage_shapes
from osr_core.config import setting
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch, Batches
from osr_core.methods.base import ImageMethod, MethodConfig, Prediction
from osr_core.recipes import Recipe, Training, strongly_augmented
from osr_core.stage import Stage

LARGEST_ERROR = 100.0  # times g (authors' code)
POWER = 8  # of a gram matrix (authors' code)
GRAM_ENTRIES = 2**23  # at once, in float64: 64 MiB
SMALLEST = 1e-12  # of what is divided by


class AutoEncoders(nn.Module):
    """One for each class, at each position."""

    def __init__(self, num_known: int, width: int, latent: int) -> None:
        super().__init__()
        self.of_class = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, latent, 1, bias=False),
                nn.Tanh(),
                nn.Conv2d(latent, width, 1, bias=False),
            )
            for _ in range(num_known)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, K, H, W) ||x - A_k(x)||_1 of maps (B, D, H, W)."""
        return torch.stack([(maps - each(maps)).abs().sum(1) for each in self.of_class], 1)


def grams(maps: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Gram matrices (b, D, D) float64 of maps (B, D, H, W), and which images they are of."""
    at_once = max(1, GRAM_ENTRIES // maps.shape[1] ** 2)
    for start in range(0, len(maps), at_once):
        piece = slice(start, start + at_once)
        powers = maps[piece].double().flatten(2) ** POWER
        yield piece, (powers @ powers.mT) ** (1 / POWER)


class CSSR(ImageMethod):
    """Auto-encoders of classes on the last maps."""

    name = "cssr"
    title = "CSSR"
    source = "Huang et al., TPAMI 2022"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy",)
    divisible = True
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """The auto-encoders, and the score."""

        latent: int = setting(64, "channels inside an auto-encoder (authors' code: 64)", at_least=1)
        gamma: float = setting(0.1, "g, per unit of error (authors' code: 0.1)", above=0)
        reciprocal: bool = setting(False, "RCSSR: the class is the one that errs most")
        score: str = setting(
            "sum",
            "what makes an image unknown (authors' code: three numbers' sum)",
            choices=("sum", "reconstruction"),
            read_by="score",
        )

    features: Tensor
    gram: Tensor
    usual: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        width = backbone.stage_channels[-1]
        self.auto_encoders = AutoEncoders(num_known, width, self.config.latent)
        self.register_buffer("features", torch.zeros(num_known, width).double())
        self.register_buffer("gram", torch.zeros(num_known, width, width))
        # mean and deviation of each of the three parts, over the training images
        self.register_buffer("usual", torch.tensor([[0.0, 1.0]] * 3).double())

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The authors' code: plain SGD at 0.4, a WRN-40-4, on TinyImageNet a ResNet-18."""
        tiny = benchmark.name == "tinyimagenet"
        epochs, drops = (235, (150, 225)) if tiny else (200, (120, 190))
        training = Training(
            epochs=epochs,
            lr=0.4,
            momentum=0.0,
            weight_decay=5e-4,
            schedule="steps",
            drops=tuple(drop / epochs for drop in drops),
            warmup_epochs=int(tiny),
            augmentation=strongly_augmented(benchmark),
        )
        wide, small = {"name": "wrn", "depth": 40}, {"name": "resnet18", "stem": "small"}
        return Recipe(backbone=small if tiny else wide, training=training)

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The auto-encoders, forward and back."""
        last, num_known = stage_shapes(fit.config["backbone"])[-1], len(fit.config["task"]["known"])
        latent: int = fit.config["method"]["latent"]
        forward = flops_of(AutoEncoders, [num_known, last[1], latent], last)
        return 3 * num_images * fit.effort * forward

    def seen(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embedding (B, D'), x (B, D, H, W), m (B, K, H, W) and logits (B, K)."""
        embedding, maps = self.embed_stages(images)
        gamma = self.config.gamma if self.config.reciprocal else -self.config.gamma
        errors = (gamma * self.auto_encoders(maps[-1])).clamp(-LARGEST_ERROR, LARGEST_ERROR)
        by_position = errors.log_softmax(1).flatten(2)
        logits = by_position.logsumexp(2) - math.log(by_position.shape[2])
        return embedding, maps[-1], errors, logits

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"cross_entropy": F.nll_loss(self.seen(batch.images)[3], batch.label)}

    def parts(self, maps: Tensor, errors: Tensor, best: Tensor) -> Tensor:
        """(B, 3) r of x (B, D, H, W) and m (B, K, H, W) by predicted classes (B,), float64."""
        x = maps.double()
        own = errors.double().flatten(2)[torch.arange(len(best), device=best.device), best]
        if not self.config.reciprocal:
            own = own / x.abs().mean(1).flatten(1).clamp_min(SMALLEST).square()
        response = (self.features[best] * x.mean((2, 3))).mean(1)
        alike = torch.zeros_like(response)
        for piece, matrices in grams(maps):
            alike[piece] = (matrices * self.gram[best[piece]]).sum((1, 2))
        return torch.stack([own.mean(1), response, alike], 1)

    def forward(self, images: Tensor) -> Prediction:
        embedding, maps, errors, logits = self.seen(images)
        parts = self.parts(maps, errors, logits.argmax(1))
        standard = (parts - self.usual[:, 0]) / self.usual[:, 1]
        counted = standard.sum(1) if self.config.score == "sum" else parts[:, 0]
        return Prediction(logits, -counted.float(), embedding)

    def calibrate(self, train: Batches) -> None:
        """Features and gram matrices of the predicted classes, then what the parts usually are."""
        features, gram = self.features.zero_(), torch.zeros_like(self.gram, dtype=torch.float64)
        counts = features.new_zeros(self.num_known)
        for batch in train.ordered():
            _, maps, _, logits = self.seen(batch.images)
            best = logits.argmax(1)
            counts += best.bincount(minlength=self.num_known)
            features.index_add_(0, best, maps.double().abs().mean((2, 3)))
            for piece, matrices in grams(maps):
                gram.index_add_(0, best[piece], matrices)
        features /= counts.clamp_min(1)[:, None]
        features /= features.sum(0).clamp_min(SMALLEST)
        self.gram.copy_(gram / counts.clamp_min(1)[:, None, None])
        parts = []
        for batch in train.ordered():
            _, maps, errors, logits = self.seen(batch.images)
            parts.append(self.parts(maps, errors, logits.argmax(1)))
        found = torch.cat(parts)
        deviation = found.std(0, correction=0).clamp_min(SMALLEST)
        self.usual.copy_(torch.stack([found.mean(0), deviation], 1))
