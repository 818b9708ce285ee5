"""G-OpenMax: OpenMax on a classifier that has seen generated images of no class.

This is the stand-in by which the rows of published tables were made: OSRCI's GAN, classifier and
fine-tuning (osrci.py), with other images. Between random training images x_1 and x_2,
    z      t E(x_1) + (1 - t) E(x_2),  t ~ U(0, 1)
    G(z)   is one of `candidates` for each image wanted; those are kept whose largest probability by
           the classifier is lowest
and OpenMax (openmax.py, `rule: osrci`) on the K logits of the fine-tuned classifier is the score.

Sources: Ge et al., "Generative OpenMax for multi-class open set classification", BMVC 2017; the
stand-in is in the code of Neal et al., "Open set learning with counterfactual images", ECCV 2018.

Deviations, and why:
- The paper's own generator is a conditional DCGAN, of which no code is known; no table has it.
- The stand-in draws until enough images are below a probability of one half. Such are 0.5 % of the
  candidates by a classifier trained one against the rest, and none at all by a good one: it need
  not end. Here the number of candidates is fixed, and the share of them below one half is told, as
  are the mean and the largest of the probabilities that are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from osr_core.config import setting
from osr_core.context import Context, Result, StageFunction
from osr_core.data.base import Benchmark
from osr_core.kinds import CALIBRATE, Kind
from osr_core.methods.gan.generate import (
    GENERATE,
    Made,
    Makers,
    drawn_positions,
    generate,
    least_certain,
    unknown_of,
)
from osr_core.methods.openmax import OpenMax, TailConfig
from osr_core.methods.osrci import FakesConfig, with_fakes
from osr_core.recipes import Recipe, osrci_published
from osr_core.stage import Stage
from osr_core.trial import Trial


def interpolations(context: Context, config: Mapping[str, Any]) -> Result:
    """The stage that makes images between known ones."""
    candidates: int = config["method"]["candidates"]

    @torch.no_grad()
    def make(makers: Makers, count: int, draws: torch.Generator) -> Made:
        images, logits, index, share = [], [], [], []
        for _ in range(candidates):
            pair = torch.stack([drawn_positions(makers, count, draws) for _ in range(2)], 1)
            first, second = (makers.gan.encode(makers.train.take(pair[:, i])) for i in range(2))
            t = torch.rand(count, 1, 1, 1, generator=draws).to(first.device)
            images.append(makers.gan.generator(t * first + (1 - t) * second))
            logits.append(makers.logits(images[-1]))
            index.append(pair)
            share.append(t.flatten())
        kept, chosen, certainty = least_certain(torch.cat(images), torch.cat(logits), count)
        return {
            "images": kept,
            "index": torch.cat(index)[chosen.cpu()],
            "interpolation": torch.cat(share)[chosen],
            "p_unknown": unknown_of(makers, kept),
            "certainty": certainty[chosen],
            "below_half": (certainty < 0.5).float().mean().expand(count).clone(),
        }

    return generate(context, config, make, largest=("certainty",))


class GOpenMax(OpenMax):
    """OpenMax after a fine-tuning with generated images."""

    name = "g_openmax"
    title = "G-OpenMax"
    source = "Ge et al., BMVC 2017, as in Neal et al., ECCV 2018"
    version = 1
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {GENERATE: interpolations}

    @dataclass(frozen=True, kw_only=True)
    class Config(FakesConfig, TailConfig):
        """The GAN's and the fine-tuning's, and what Weibulls make of the logits."""

        rule: str = setting(
            "osrci",
            "how logits and Weibulls become a score (code: osrci)",
            choices=("paper", "osrci"),
            read_by="score",
        )
        distance: str = setting(
            "euclidean",
            "between an activation and a class mean (code: euclidean)",
            choices=("euclidean", "eucos", "cosine"),
            read_by="calibrate",
        )
        candidates: int = setting(
            20, "images made for each that is kept", at_least=1, read_by="generate"
        )

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.stage(CALIBRATE, "calibrate", inputs={"classifier": with_fakes(trial)})

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        return osrci_published()
