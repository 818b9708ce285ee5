"""Energy: how little evidence the logits hold for all known classes together.

    training       the softmax classifier's, with its fit shared where the settings are equal
    unknown_score  E = -T log sum_k exp(l_k / T),  T = 1                   (section 3.1)

Source: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.

Deviations: the score only. The paper's second half tunes a network on images of other datasets
(its squared hinge losses), which open-set protocols do not allow. T = 1 is the paper's advice.
"""

from torch import Tensor

from osr_core.methods.softmax import Softmax
from osr_core.stage import Stage
from osr_core.trial import Trial


class Energy(Softmax):
    """Softmax's classifier, scored by the free energy of its logits."""

    name = "energy"
    title = "Energy"
    source = "Liu et al., NeurIPS 2020, section 3.1"

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.fit(Softmax)

    def unknown_score(self, logits: Tensor) -> Tensor:
        return -logits.logsumexp(1)
