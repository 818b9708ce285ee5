"""CROSR: classification-reconstruction learning for open-set recognition.

x_1, ..., x_n are the maps that each resolution of the backbone ends with (`Backbone.stages`), l the
logits, N(x) the normalised image, GAP the mean over positions:
    bottleneck     z_i = ReLU(conv 3x3 (x_i)), `latent` channels
    reconstruction g_n = conv 3x3 (z_n),  g_i = ReLU(deconv(g_{i+1})) + conv 3x3 (z_i),
                   x~ = deconv(g_1), linear
    loss           CE(l, y) + w mean (x~ - N(x))^2
    activations    a = [l ; GAP z_1 ; ... ; GAP z_n]
    score          OpenMax's (openmax.py): class means and Weibulls in the space of a, which
                   recalibrate the logits
Deconvolutions have as large a kernel as stride: as far as two resolutions are apart, mostly 2.

Source: Yoshihashi et al., "Classification-reconstruction learning for open-set recognition",
CVPR 2019. No code by the authors is known; the width of z is a re-implementation's, as is the
equal weight of the two terms.

Deviations, and why:
- The backbone is the common one, not the paper's own networks, so that rows differ by method alone.
- No activation stands on the logits or on x~, whose targets have negative values;
  re-implementations put a ReLU on both.
- `scale_latents`: the parts z of a are divided by their standard deviations over the training
  images. As they are, logits are several times as long, and distances with z and without are the
  same: on digits, five splits, AUROC 91.0 as printed and 93.4 scaled (docs/results.md).
- The score is the log odds, and all else as in openmax.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, build_backbone
from osr_core.backbones.flops import flops_of, stage_shapes
from osr_core.config import setting
from osr_core.data.batches import Batch, Batches
from osr_core.kinds import CALIBRATE
from osr_core.methods.base import ImageMethod, MethodConfig, Prediction, count_parameters
from osr_core.methods.openmax import TailConfig, Weibulls
from osr_core.stage import Stage
from osr_core.trial import Trial


class Reconstruction(nn.Module):
    """Bottlenecks at all resolutions of a backbone, and the way from them back to an image."""

    def __init__(self, backbone: Backbone, latent: int) -> None:
        super().__init__()
        self.sides = [backbone.image_size, *backbone.stage_sides[:-1]]  # that each deconv leads to
        widths = backbone.stage_channels
        self.bottlenecks = nn.ModuleList(nn.Conv2d(c, latent, 3, padding=1) for c in widths)
        self.laterals = nn.ModuleList(nn.Conv2d(latent, c, 3, padding=1) for c in widths)
        self.deconvs = nn.ModuleList()
        into = [backbone.channels, *widths[:-1]]
        for before, after, side, larger in zip(
            widths, into, backbone.stage_sides, self.sides, strict=True
        ):
            factor = -(-larger // side)
            self.deconvs.append(nn.ConvTranspose2d(before, after, factor, stride=factor))

    def forward(self, *maps: Tensor) -> Tensor:
        """(B, C, S, S) x~ of maps x_1 ... x_n."""
        latents = self.latents(maps)
        g: Tensor = self.laterals[-1](latents[-1])
        for i in range(len(latents) - 1, 0, -1):
            g = F.relu(self.up(i, g)) + self.laterals[i - 1](latents[i - 1])
        return self.up(0, g)

    def latents(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """z_1 ... z_n of maps x_1 ... x_n."""
        return [F.relu(conv(x)) for conv, x in zip(self.bottlenecks, maps, strict=True)]

    def up(self, i: int, maps: Tensor) -> Tensor:
        """Maps at the next finer resolution; where that is no multiple, the rest is cut off."""
        larger: Tensor = self.deconvs[i](maps)
        return larger[:, :, : self.sides[i], : self.sides[i]]


def reconstruction_of(backbone: Mapping[str, Any], latent: int) -> Reconstruction:
    """On a network by its settings."""
    return Reconstruction(build_backbone(backbone), latent)


def activations_of(logits: Tensor, latents: Sequence[Tensor]) -> Tensor:
    """(B, K + sum of channels) a, from logits (B, K) and maps z_1 ... z_n."""
    return torch.cat([logits, *(z.mean((2, 3)) for z in latents)], 1)


class CROSR(ImageMethod):
    """A classifier that also reconstructs its images, scored by OpenMax on both."""

    name = "crosr"
    title = "CROSR"
    source = "Yoshihashi et al., CVPR 2019"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy", "reconstruction")
    static_step = True

    @dataclass(frozen=True, kw_only=True)
    class Config(TailConfig):
        """The bottlenecks, and what Weibulls make of them."""

        latent: int = setting(32, "channels of each z (re-implementation: 32)", at_least=1)
        reconstruction_weight: float = setting(1.0, "w (re-implementation: 1)", at_least=0)
        scale_latents: bool = setting(
            True, "divide z by its standard deviation, see crosr.py", read_by="calibrate"
        )

    means: Tensor
    shape: Tensor
    scale: Tensor
    shift: Tensor
    spread: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = backbone.classifier(num_known)
        self.reconstruction = Reconstruction(backbone, self.config.latent)
        width = num_known + self.config.latent * len(backbone.stage_channels)
        for name, value in Weibulls.empty(num_known, width)._asdict().items():
            self.register_buffer(name, value)
        self.register_buffer("spread", torch.ones(width).double())  # what a is divided by

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.stage(CALIBRATE, "fit", "calibrate", inputs={"classifier": trial.fit()})

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        embedding, maps = self.embed_stages(batch.images)
        error = (self.reconstruction(*maps) - self.backbone.normalize(batch.images)).square().mean()
        return {
            "cross_entropy": F.cross_entropy(self.head(embedding), batch.label),
            "reconstruction": self.config.reconstruction_weight * error,
        }

    def activations(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (B, D), logits (B, K) and a (B, A)."""
        embedding, maps = self.embed_stages(images)
        logits: Tensor = self.head(embedding)
        return embedding, logits, activations_of(logits, self.reconstruction.latents(maps))

    def forward(self, images: Tensor) -> Prediction:
        embedding, logits, activations = self.activations(images)
        fitted = Weibulls(self.means, self.shape, self.scale, self.shift)
        scaled = activations.double() / self.spread
        score = fitted.rejection(scaled, logits.double(), self.config)
        return Prediction(logits, score, embedding)

    def calibrate(self, train: Batches) -> None:
        """Deviations of z, then means and Weibulls of the classes, from un-augmented images."""
        batches = list(train.ordered())
        label = torch.cat([batch.label for batch in batches])
        self.check_labels(label)
        activations = torch.cat([self.activations(b.images)[2] for b in batches]).double()
        self.spread.fill_(1)
        if self.config.scale_latents:
            deviation = activations.std(0, correction=0)
            is_latent = torch.arange(len(deviation), device=deviation.device) >= self.num_known
            self.spread[is_latent & (deviation > 0)] = deviation[is_latent & (deviation > 0)]
        logits = activations[:, : self.num_known]
        fitted = Weibulls.fit(activations / self.spread, logits, label, self.config)
        self.means, self.shape, self.scale, self.shift = fitted

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The bottlenecks and the way back to the image, forward and back."""
        backbone, latent = fit.config["backbone"], fit.config["method"]["latent"]
        forward = flops_of(reconstruction_of, [backbone, latent], *stage_shapes(backbone))
        return 3 * num_images * fit.effort * forward

    def num_parameters(self) -> int:
        """Without the way back to the image, which only training goes."""
        back = (self.reconstruction.laterals, self.reconstruction.deconvs)
        return super().num_parameters() - count_parameters(*back)
