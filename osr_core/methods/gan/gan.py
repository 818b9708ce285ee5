"""The encoder, generator and discriminator of the counterfactual-images paper.

A latent is a map z (B, L, s, s) whose every position is a unit vector; s is the side of the trunk's
last map. The OSRCI trunk with dropout stands in E and in D, f are its last maps flattened:
    E  normalise(conv 3x3 (trunk(x)))
    G  decoder.py with a sigmoid
    D  linear([f, exp(-mean_batch f)]), larger = more like a training image
Per batch of images x in [0, 1], with u normalised noise and x^ = t x + (1 - t) G(u), t ~ U(0, 1)
for each image, these steps of Adam follow one another:
    D     fake            mean softplus(D(G(u)))
          real            a mean softplus(-D(x))
          penalty         p mean (||grad_x^ sum D(x^)|| - 1)^2
    G     generator       -a mean D(G(E(x)))
    E, G  reconstruction  mean |x - G(E(x))|
`penalty` pixel takes the norm over the colours of each pixel, as the code does: it asks a slope of
1 of every pixel, stays at 2 to 5 and outweighs the rest of D. `penalty` image takes it over the
whole image (WGAN-GP). G is never trained on noise: what it makes is reconstructed, and the
adversary adds little.

Source: Neal et al., "Open set learning with counterfactual images", ECCV 2018, section 3. Authors'
code: lwneal/counterfactual-open-set.

Deviations, and why:
- Each position of z has length 1, the evident intent; the code normalises runs of L numbers of a
  flattening in which channels come first, four of them with 16 positions each at 32 pixels.
- E normalises its images, as every network here does; D and the targets do not.
- D has one output, since one alone judges; the code has K, whose other ones only enter the penalty.
- A last batch that is smaller is trained on, so that no image is left out; the code drops it.
- G's step reuses the latents of E, which saves a pass; the code encodes the images again, with
  other dropout.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osr_core.backbones import Backbone, resolve_backbone
from osr_core.backbones.flops import flops_of, stage_shapes
from osr_core.backbones.osrci import OSRCI
from osr_core.config import setting
from osr_core.data.batches import Batch
from osr_core.methods.base import Learner, MethodConfig, descend, make_optimizer
from osr_core.methods.decoder import Decoder, init
from osr_core.recipes import Training, by_adam
from osr_core.stage import Stage
from osr_core.trial import Trial


def normalised(latents: Tensor) -> Tensor:
    """(B, L, s, s) with every position of length 1."""
    return F.normalize(latents, dim=1)


def gradient_penalty(judge: Callable[[Tensor], Tensor], images: Tensor, how: str) -> Tensor:
    """() mean of (||grad sum D|| - 1)^2 at images (B, C, H, W), D = `judge` giving (B,).

    Where gradients are off, they are on in here.
    """
    with torch.enable_grad():
        at = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(judge(at).sum(), at, create_graph=True)
        norms = slope.norm(dim=1) if how == "pixel" else slope.flatten(1).norm(dim=1)
        penalty: Tensor = (norms - 1).square().mean()
    return penalty


def network_of(backbone: Mapping[str, Any], width: float) -> dict[str, Any]:
    """The settings of E's trunk, for images as a trial's backbone sees them."""
    sees = {"image_size": backbone["image_size"], "channels": backbone["channels"]}
    return resolve_backbone({"name": "osrci", "head": "flatten", "width": width}, **sees)


class Discriminator(nn.Module):
    """Images (B, C, S, S) in [0, 1] to (B,), larger = more like a training image."""

    def __init__(self, image_size: int, channels: int, width: float) -> None:
        super().__init__()
        network = OSRCI.Config(
            image_size=image_size, channels=channels, width=width, head="flatten"
        )
        self.trunk = OSRCI(network)
        self.head = nn.Linear(2 * self.trunk.dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Each by itself and by the mean of the batch."""
        features = self.trunk(images)
        of_batch = (-features.mean(0)).exp().expand_as(features)
        logits: Tensor = self.head(torch.cat([features, of_batch], 1))
        return logits[:, 0]


@dataclass(frozen=True, kw_only=True)
class GANConfig(MethodConfig):
    """Sizes, weights and schedule of the three networks."""

    latent: int = setting(64, "L, channels of a latent (code: 64)", at_least=1, read_by="gan")
    gan_width: float = setting(
        1.0, "multiplier of all widths (code: 1)", above=0, at_most=4, read_by="gan"
    )
    adversarial_weight: float = setting(0.01, "a (code: 0.01)", at_least=0, read_by="gan")
    penalty_weight: float = setting(10.0, "p (code: 10)", at_least=0, read_by="gan")
    penalty: str = setting(
        "pixel",
        "what the penalised norm is over (code: pixel; WGAN-GP: image)",
        choices=("pixel", "image"),
        read_by="gan",
    )
    gan_epochs: int = setting(30, "passes of the GAN (code: 30)", at_least=1, read_by="recipe")
    gan_lr: float = setting(
        1e-4, "Adam's constant learning rate (code: 0.0001)", above=0, read_by="recipe"
    )
    gan_batch: int = setting(64, "images in a batch (code: 64)", at_least=2, read_by="recipe")


class GAN(Learner):
    """The three networks; no method by itself."""

    name = "gan"
    # In the order of the steps: of terms that one batch loses, the first is named.
    terms: ClassVar[tuple[str, ...]] = ("fake", "real", "penalty", "generator", "reconstruction")
    static_step = True
    Config = GANConfig

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        channels, side = backbone.stage_channels[-1], backbone.stage_sides[-1]
        latent, width = self.config.latent, self.config.gan_width
        image = (backbone.image_size, backbone.channels)
        self.to_latent = nn.Conv2d(channels, latent, 3, padding=1, bias=False)
        self.to_latent.apply(init)
        self.generator = Decoder(latent, side, *image, width, nn.Sigmoid())
        self.discriminator = Discriminator(*image, width)

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        """One for each network."""
        networks = {
            "encoder": [*self.backbone.parameters(), *self.to_latent.parameters()],
            "generator": self.generator.parameters(),
            "discriminator": self.discriminator.parameters(),
        }
        return {role: make_optimizer(own, training) for role, own in networks.items()}

    def encode(self, images: Tensor) -> Tensor:
        """(B, L, s, s) E(x) of images (B, C, S, S)."""
        _, maps = self.embed_stages(images)
        return normalised(self.to_latent(maps[-1]))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of all three networks; in training each has its own step."""
        latents = self.encode(batch.images)
        return {
            **self.judgement(batch.images, latents),
            "generator": self.deception(latents.detach()),
            "reconstruction": self.reconstruction(batch.images, latents),
        }

    def train_step(
        self, batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> dict[str, Tensor]:
        """Discriminator, generator, then encoder and generator together."""
        latents = self.encode(batch.images)
        judged = self.judgement(batch.images, latents)
        descend(optimizers["discriminator"], torch.stack(list(judged.values())).sum())
        deception = self.deception(latents.detach())
        descend(optimizers["generator"], deception)
        reconstruction = self.reconstruction(batch.images, latents)
        descend(optimizers["encoder"], reconstruction, optimizers["generator"])
        terms = {**judged, "generator": deception, "reconstruction": reconstruction}
        return {name: term.detach() for name, term in terms.items()}

    def judgement(self, images: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """What the discriminator loses on images and as many fakes; nobody else gets a gradient.

        Noise, of the latents' shape, and t come from torch's global generator.
        """
        with torch.no_grad():
            fakes = self.generator(normalised(torch.randn_like(latents)))
        t = torch.rand(len(images), 1, 1, 1, device=images.device)
        between = t * images + (1 - t) * fakes
        weight, how = self.config.penalty_weight, self.config.penalty
        return {
            "fake": F.softplus(self.discriminator(fakes)).mean(),
            "real": self.config.adversarial_weight * F.softplus(-self.discriminator(images)).mean(),
            "penalty": weight * gradient_penalty(self.discriminator, between, how),
        }

    def deception(self, latents: Tensor) -> Tensor:
        """What the generator loses on latents (B, L, s, s)."""
        judged: Tensor = self.discriminator(self.generator(latents)).mean()
        return -float(self.config.adversarial_weight) * judged

    def reconstruction(self, images: Tensor, latents: Tensor) -> Tensor:
        """() mean |x - G(E(x))|."""
        error: Tensor = (images - self.generator(latents)).abs().mean()
        return error

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """Of the other two networks, in ways forward for each image.

        The generator makes a fake and learns twice: 1 + 3 + 3. The discriminator learns from a
        fake and an image, its slope is taken and learned from, and the generator learns through
        it: 3 + 3 + 6 + 2.
        """
        backbone, config = fit.config["backbone"], fit.config["method"]
        image, width = (backbone["image_size"], backbone["channels"]), config["gan_width"]
        side = stage_shapes(backbone)[-1][2]
        latents, images = (1, config["latent"], side, side), (1, image[1], image[0], image[0])
        generator = flops_of(generator_of, [latents[1], side, *image, width], latents)
        discriminator = flops_of(Discriminator, [*image, width], images)
        return num_images * fit.effort * (7 * generator + 14 * discriminator)


def generator_of(latent: int, side: int, image_size: int, channels: int, width: float) -> Decoder:
    """A GAN's generator by numbers."""
    return Decoder(latent, side, image_size, channels, width, nn.Sigmoid())


def gan_fit(trial: Trial) -> Stage:
    """The GAN of a trial: one for its task and seed, whatever its network and its schedule."""
    config = trial.config
    training = by_adam(
        Training(batch_size=config.gan_batch),
        epochs=config.gan_epochs,
        lr=config.gan_lr,
        beta1=0.5,
    )
    network = network_of(trial.backbone, config.gan_width)
    return trial.fit(GAN, reader="gan", backbone=network, training=training)
