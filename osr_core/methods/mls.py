"""MLS: the maximum logit score.

    training       the softmax classifier's, with its fit shared where the settings are equal
    unknown_score  -max_k l_k, the raw logit

Source: Vaze et al., "Open-set recognition: a good closed-set classifier is all you need?",
ICLR 2022.

Deviations: the published recipe (recipes.py) has no place for label smoothing, which is a setting
of the method and so of the spec. The authors smooth TinyImageNet's labels, and only these, by 0.9:
    mls: {label_smoothing: 0.9}
"""

from torch import Tensor

from osr_core.data.base import Benchmark
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Recipe, vaze_published
from osr_core.stage import Stage
from osr_core.trial import Trial


class MLS(Softmax):
    """Softmax's classifier, scored by its largest logit."""

    name = "mls"
    title = "MLS"
    source = "Vaze et al., ICLR 2022"

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.fit(Softmax)

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        return vaze_published(benchmark)

    def unknown_score(self, logits: Tensor) -> Tensor:
        return -logits.amax(1)
