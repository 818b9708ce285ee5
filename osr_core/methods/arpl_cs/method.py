"""ARPL+CS: adversarial reciprocal points with confusing samples.

A generator G makes images that a discriminator D takes for real and that the network finds near to
no reciprocal point more than to another; the network learns to be undecided about them. With
x real images, u noise, L the loss of ARPL (arpl.py) and d_k its distances,
    discriminator  BCE(D(x), 1) + BCE(D(G(u)), 0)
    generator      BCE(D(G(u)), 1) + beta F(G(u))
    network        L(x), its terms "cross_entropy" and "margin", + "confusion" = beta F(G(u))
    F              exp(mean_u sum_k q_k log q_k),  q = softmax(d): lowest where q is flat
Each batch is followed by one plain step of the network on L(x). Fakes have a set of batch norms of
their own (norms.py); scores are ARPL's, with the batch norms of real images. gan.py has G and D.

Source: Chen et al., "Adversarial reciprocal points learning for open set recognition", TPAMI 2021,
section 4. Authors' code: iCGY96/ARPL.

Deviations from the code, and why, besides those in arpl.py:
- It passes all images twice per epoch, first with fakes, then without. Here each batch has both
  steps in turn: as many updates, and an epoch stays one pass over the images, with one order, one
  augmentation and one place to resume from.
- Learning rates of G and D follow the network's schedule, of which the loop has one; there they
  are constant.
- The sigmoid that ends D is part of the loss, and log q comes from a log-softmax: the same numbers,
  without log(0).

G and D are part of the weights (58 MB at full size), since a resumed fit needs them; scores do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.backbones.flops import flops_of
from osr_core.config import setting
from osr_core.data.batches import Batch
from osr_core.methods.arpl import ARPL, reciprocal_distances
from osr_core.methods.arpl_cs.gan import NOISE, Discriminator, Generator
from osr_core.methods.arpl_cs.norms import double_batch_norms, doubled_norms, fake_norms
from osr_core.methods.base import MethodConfig, count_parameters, descend, make_optimizer
from osr_core.methods.collapse import deviation, warn_if_collapsed
from osr_core.recipes import Training
from osr_core.stage import Stage

PLAYER = Training(optimizer="adam", lr=2e-4, momentum=0.5, weight_decay=0.0)  # G's and D's


def confusion(distances: Tensor) -> Tensor:
    """() F of distances (B, K), from 1 / K where all q are flat to 1 where all are one-hot."""
    log_q = distances.log_softmax(1)
    return (log_q.exp() * log_q).sum(1).mean().exp()


def real_loss(logits: Tensor) -> Tensor:
    """() BCE(D, 1) of D's logits (B,): low where images pass for real."""
    return F.softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """() BCE(D, 0) of D's logits (B,): low where images are found out."""
    return F.softplus(logits).mean()


def variety(fakes: Tensor, images: Tensor) -> Tensor:
    """() deviation of fakes (B, C, S, S) over that of images, which may be all alike."""
    return deviation(fakes) / deviation(images).clamp(min=1 / 255)


class ARPLCS(ARPL):
    """ARPL that also learns what it must not be sure of."""

    name = "arpl_cs"
    title = "ARPL+CS"
    source = "Chen et al., TPAMI 2021, section 4"
    version = 2
    # In the order of the steps: of terms that one batch loses, the first is named.
    terms = ("discriminator", "generator", "confusion", *ARPL.terms)
    divisible = False
    static_step = True
    passes = 4  # fakes for the generator; images with fakes for the network; images alone

    @dataclass(frozen=True, kw_only=True)
    class Config(ARPL.Config):
        """ARPL's, the weight of confusion and the size of the two networks."""

        confusion_weight: float = setting(0.1, "beta (paper: 0.1)", at_least=0)
        gan_width: int = setting(
            64, "w of generator and discriminator (paper: 64)", at_least=1, at_most=4096
        )

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        double_batch_norms(backbone)
        shape = (backbone.image_size, backbone.channels, self.config.gan_width)
        self.generator, self.discriminator = Generator(*shape), Discriminator(*shape)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of all three players; in training each has its own step."""
        return {**self.fake_terms(batch.images), **super().losses(batch)}

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        return {**self.fake_terms(batch.images), **super().validation(batch)}

    def fake_terms(self, images: Tensor) -> dict[str, Tensor]:
        """What the players lose on these images and as many fakes."""
        fakes = self.fakes(images)
        return {
            "discriminator": self.found_out(images, fakes),
            "generator": real_loss(self.discriminator(fakes)) + self.confusion(fakes),
            "confusion": self.confusion(fakes.detach()),
        }

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """Discriminator, generator, network with fakes, network without.

        Besides the terms, "variety": how much the fakes differ, 1 = as much as the images.
        """
        fakes = self.fakes(batch.images)
        discriminator = self.found_out(batch.images, fakes)
        descend(optimizers["discriminator"], discriminator)
        generator = real_loss(self.discriminator(fakes)) + self.confusion(fakes)
        descend(optimizers["generator"], generator)
        confused = self.confusion(self.fakes(batch.images).detach())
        descend(optimizers["main"], sum(super().losses(batch).values(), confused))
        terms = super().losses(batch)
        descend(optimizers["main"], sum(terms.values(), torch.zeros_like(confused)))
        played = {"discriminator": discriminator, "generator": generator, "confusion": confused}
        found = {**played, **terms, "variety": variety(fakes.detach(), batch.images)}
        return {name: number.detach() for name, number in found.items()}

    def look_back(self, row: Mapping[str, float]) -> None:
        warn_if_collapsed(
            row["train/variety"], "Train it longer, or with another gan_width or confusion_weight."
        )

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        """The schedule's for network, points and radius; Adam for each of the other two players."""
        network = [*self.backbone.parameters(), self.points, self.radius]
        return {
            "main": make_optimizer(network, training),
            "generator": make_optimizer(self.generator.parameters(), PLAYER),
            "discriminator": make_optimizer(self.discriminator.parameters(), PLAYER),
        }

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The other two players' steps, in ways forward for each image.

        The generator makes two fakes and learns from one: 2 + 2. The discriminator sees an image
        and a fake, learns from both, and sees another, through which the generator learns: 3 + 5.
        """
        backbone, width = fit.config["backbone"], fit.config["method"]["gan_width"]
        side, channels = backbone["image_size"], backbone["channels"]
        generator = flops_of(Generator, [side, channels, width], (1, NOISE))
        seen = (1, channels, side, side)
        discriminator = flops_of(Discriminator, [side, channels, width], seen)
        return num_images * fit.effort * (4 * generator + 8 * discriminator)

    def num_parameters(self) -> int:
        """Without the other two players and the batch norms that only fakes pass."""
        norms = [norm.fake for norm in doubled_norms(self.backbone)]
        players = count_parameters(self.generator, self.discriminator, *norms)
        return super().num_parameters() - players

    def fakes(self, images: Tensor) -> Tensor:
        """As many fakes as there are images (B, C, S, S), from torch's global generator."""
        fakes: Tensor = self.generator(torch.randn(len(images), NOISE, device=images.device))
        return fakes

    def found_out(self, images: Tensor, fakes: Tensor) -> Tensor:
        """What the discriminator loses on images and fakes; the generator gets no gradient."""
        on_real, on_fakes = self.discriminator(images), self.discriminator(fakes.detach())
        return real_loss(on_real) + fake_loss(on_fakes)

    def confusion(self, fakes: Tensor) -> Tensor:
        """() F of fakes, times beta; they pass batch norms of their own."""
        with fake_norms(self.backbone):
            distances = reciprocal_distances(self.embed(fakes), self.points)
        weighted: Tensor = self.config.confusion_weight * confusion(distances)
        return weighted
