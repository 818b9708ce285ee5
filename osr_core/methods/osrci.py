"""OSRCI: open set recognition with counterfactual images.

A softmax classifier C_K with logits l is trained one against the rest, so that 0 is the logit of
"none of them". A GAN (gan/gan.py) has an encoder E and a generator G. From E(x) = z_0 of a random
training image x, `steps` times,
    z         <- normalise(z - step grad_z [log(1 + sum_k exp l_k(G(z))) + w ||z - z_0||^2])
an image G(z) is made that looks like x and is of no class. With `fakes` of them C_K is fine-tuned:
    cross_entropy  CE([l, 0], y) of known images
    unknown        -log p_{K+1} of as many made ones, drawn for each batch; p = softmax([l, 0])
    logits         l
    unknown_score  log((1 + a) / (1 - a)), a = p_{K+1} - max_k p_k, which ranks like a
Known and made images pass the network one after the other: statistics mix both.

Source: Neal et al., "Open set learning with counterfactual images", ECCV 2018. Authors' code:
lwneal/counterfactual-open-set.

Deviations, and why, besides those of the GAN:
- The squared distance is the paper's. The code takes that of the two means over everything, which
  holds nothing back.
- A step is `step` times an image's own gradient. The code passes its loss to autograd as the
  gradient from outside and takes a batch mean, so that an image moves by 0.1 loss / 64 times its
  own, 0.001 to 0.01. In a prototype 0.1 for each image wrecked the images: p_{K+1} 0.54 and digits
  that were no longer to be seen, where 0.01 with w = 1 had 0.67. Here that has 0.58 to 0.61 on
  digits, and 81 to 93 % of the images are beyond one half.
- Networks are in eval mode while images are made; the code leaves dropout and batch norms in
  training mode, by which the prototype ended at 0.51 instead of 0.58, its steps the code's.
- Fine-tuning sees plain images, as in the code, even where a recipe augments those of the
  classifier's fit: made images are plain, and a classifier could tell them by that alone.
- a is -1 in float32 for all images that are surely known; its log odds are not.
- `loss: cross_entropy` is allowed, and deceives nobody: from such a classifier 100 steps of the
  prototype reached p_{K+1} = 0.14.
On digits the images bring nothing against the same fine-tuning without them (`fakes: 0`): mean
AUROC 95.7 and 96.0 at the code's rate, 94.1 and 96.5 at ten times that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.context import Context, Result, StageFunction
from osr_core.data.base import Benchmark
from osr_core.data.batches import Batch, Batches, to_float
from osr_core.kinds import Kind
from osr_core.methods.base import MethodConfig
from osr_core.methods.gan.gan import GANConfig, gan_fit, normalised
from osr_core.methods.gan.generate import (
    GENERATE,
    Made,
    Makers,
    descended,
    drawn_positions,
    generate,
    log_odds_of_known,
    unknown_of,
)
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Augmentation, Recipe, by_adam, osrci_published
from osr_core.stage import Stage
from osr_core.trial import Trial


def margin_score(logits: Tensor) -> Tensor:
    """(B,) log((1 + a) / (1 - a)), a = p_{K+1} - max_k p_k of softmax([l, 0]), l (B, K).

    1 + a and 1 - a are, but for a factor that they share, 2 + sum_{k != m} exp l_k and
    2 exp l_m + sum_{k != m} exp l_k, m the best class. What these share cancels, hence in float64.
    """
    exact = logits.double()
    best = exact.argmax(1, keepdim=True)
    others = exact.scatter(1, best, -torch.inf)
    two = torch.full_like(exact[:, :1], math.log(2))
    unknown = torch.cat([others, two], 1).logsumexp(1)
    known = torch.cat([others, two + exact.gather(1, best)], 1).logsumexp(1)
    return (unknown - known).to(logits.dtype)


def counterfactuals(context: Context, config: Mapping[str, Any]) -> Result:
    """The stage that makes images of no class near to known ones."""
    settings = config["method"]
    descent = {name: settings[name] for name in ("steps", "step", "distance_weight")}

    def make(makers: Makers, count: int, draws: torch.Generator) -> Made:
        index = drawn_positions(makers, count, draws)
        images = makers.train.take(index)
        with torch.no_grad():
            start = makers.gan.encode(images)
        deceived = lambda z: log_odds_of_known(makers.logits(makers.gan.generator(z)))  # noqa: E731
        latents = descended(start, deceived, project=normalised, **descent)
        with torch.no_grad():
            fakes = makers.gan.generator(latents)
            unknown = unknown_of(makers, fakes)
        return {
            "images": fakes,
            "index": index[:, None],
            "p_unknown": unknown,
            "beyond_half": (unknown > 0.5).float(),
            "squared_distance": (latents - start).square().flatten(1).sum(1),
            "pixel_change": (fakes - images).abs().mean((1, 2, 3)),
        }

    return generate(context, config, make)


@dataclass(frozen=True, kw_only=True)
class FakesConfig(GANConfig, Softmax.Config):
    """The GAN's, the classifier's, and the fine-tuning with what was made."""

    loss: str = setting(
        "one_vs_rest",
        "of the classifier (code: one_vs_rest; by cross_entropy no image becomes unknown)",
        choices=("cross_entropy", "one_vs_rest"),
    )
    fakes: int = setting(
        3200, "images made (code: 3200); 0 fine-tunes without any", at_least=0, read_by="generate"
    )
    fine_tuning_epochs: int = setting(
        3, "passes after the classifier's (code: 3)", at_least=1, read_by="recipe"
    )
    fine_tuning_lr: float = setting(
        1e-5, "their constant learning rate of Adam (code: 0.00001)", above=0, read_by="recipe"
    )


class OSRCI(Softmax):
    """A classifier that has learned from images of no class that they are of none."""

    name = "osrci"
    title = "OSRCI"
    source = "Neal et al., ECCV 2018"
    terms: ClassVar[tuple[str, ...]] = ("cross_entropy", "unknown")
    divisible = False
    static_step = True
    passes = 2  # an image and a fake
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {GENERATE: counterfactuals}

    @dataclass(frozen=True, kw_only=True)
    class Config(FakesConfig):
        """How counterfactual images are sought."""

        steps: int = setting(
            100, "steps of the descent (code: 100)", at_least=1, read_by="generate"
        )
        step: float = setting(
            0.01,
            "their length, times the gradient, see osrci.py",
            above=0,
            read_by="generate",
        )
        distance_weight: float = setting(1.0, "w (paper: 1)", at_least=0, read_by="generate")

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.fakes: Tensor | None = None  # (N, C, S, S) uint8, while training

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return with_fakes(trial)

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        return osrci_published()

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take the classifier's weights, and the images that were made."""
        self.load_classifier(inputs["classifier"])
        if "fakes" in inputs:
            self.fakes = inputs["fakes"]["images"].to(train.labels.device)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        known = super().losses(batch)
        return {**known, "unknown": self.surprise(len(batch.label), known["cross_entropy"])}

    def losses_at(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The term of known images."""
        logits = self.head(embedding)
        none = torch.zeros_like(logits[:, :1])
        return {"cross_entropy": F.cross_entropy(torch.cat([logits, none], 1), label)}

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """As for every method, and "unknown" on made images."""
        known = super().validation(batch)
        return {**known, "unknown": self.surprise(len(batch.label), known["cross_entropy"])}

    def surprise(self, count: int, like: Tensor) -> Tensor:
        """() mean -log p_{K+1} of so many made images, from torch's global generator.

        0 where none were made; a scalar such as `like`.
        """
        if self.fakes is None:
            return torch.zeros_like(like)
        drawn = torch.randint(len(self.fakes), (count,), device=self.fakes.device)
        return log_odds_of_known(self.head(self.embed(to_float(self.fakes[drawn])))).mean()

    def unknown_score(self, logits: Tensor) -> Tensor:
        return margin_score(logits)


def with_fakes(trial: Trial) -> Stage:
    """The fit of a K+1 classifier on what the trial's method makes."""
    config, classifier = trial.config, trial.fit(Softmax)
    inputs = {"classifier": classifier}
    if config.fakes:
        makers = {"classifier": classifier, "gan": gan_fit(trial)}
        inputs["fakes"] = trial.stage(GENERATE, "gan", "generate", inputs=makers)
    schedule = replace(trial.training, augmentation=Augmentation())
    epochs, lr = config.fine_tuning_epochs, config.fine_tuning_lr
    training = by_adam(schedule, epochs=epochs, lr=lr, beta1=0.5)
    return trial.fit(OSRCI, role="fine_tuning", training=training, inputs=inputs)
