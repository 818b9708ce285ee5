"""OpenMax: a softmax over the known classes and one for "none of them", read off Weibull tails.

v(x) in R^K are the logits of a trained classifier. On the training images of class k that it
classifies correctly,
    mean         mu_k = mean v(x)                                        (Alg. 1)
    distance     d = dist(v(x), mu_k); the `tail` largest, shifted so that the smallest of them is 1
    Weibull      F_k(d) = 1 - exp(-((d - shift_k + 1) / scale_k)^shape_k), 0 where the base is < 0
At test, with r(k) the rank of v_k among the logits, from 1 for the largest,            (Alg. 2)
    omega_k      max(0, (alpha - r(k) + 1) / alpha) F_k(dist(v, mu_k)),  alpha at most K
    v'_k         v_k (1 - omega_k),  v'_0 = sum_k v_k omega_k
    unknown_score  log(P_0 / (1 - P_0)),  P = softmax(v'_0, v'_1, ..., v'_K)     rule "paper"
                   -log sum_k exp(v_k (1 - F_k)), without ranks and alpha        rule "osrci"

Sources: Bendale and Boult, "Towards open set deep networks", CVPR 2016. "osrci" is the evaluation
in the code of Neal et al., "Open set learning with counterfactual images", ECCV 2018, with
Euclidean distances and a tail of 20: the OpenMax rows of published tables are copied from there
(`rule: osrci, distance: euclidean`).

Defaults: those of the paper and its authors' code, all four of them (rule, tail 20, alpha 10, and
"eucos", Euclidean / 200 + cosine). None is chosen by AUROC, which needs unknown test images. For
other values of tail and alpha nothing was measured, and test unknowns may not choose them. What
is known of their effect, on the five closed-set classifiers for CIFAR-10 that the authors of CAC
published (mean AUROC): eucos .803, Euclidean .794, rule osrci .803; of the same networks MSP .794,
MLS .806. Networks trained here (docs/results.md) agree.

Deviations, and why:
- A negative v_k is recalibrated as printed, though a large omega raises it and lowers v'_0. To
  subtract each image's lowest logit first, which avoids that, makes every class feed v'_0 for known
  images too, since their F_k of all other classes is near 1: .693 on the networks above.
- The score is the log odds of P_0, not P_0: both rank images alike, but P_0 rounds to 1 for the
  images that are least like the known ones, and their order would be lost.
- To the rule "osrci" log K is added, so that an image far from all classes has a score near 0; one
  below 1e-16 is replaced by what rises with it, since exp(-H) of far images rounds to 0. Of 445
  digits 77 were tied by eucos and 42 by Euclidean distances.
- The class is the classifier's. The paper takes the largest of P_1..P_K, which differs only where
  the best class has been recalibrated, that is, for images about to be rejected; published tables
  give OpenMax the accuracy of the classifier under it.
- One view of an image instead of the mean of ten crops, one set of distances instead of one for
  each crop.
- libMR is a compiled library; scipy's maximum likelihood fit of a two-parameter Weibull stands in.
- A class with fewer than `tail` correct images uses those it has; one with none is described by all
  its training images. A tail of equal distances, as of a single image, becomes a step there.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from osr_core.backbones import Backbone
from osr_core.config import setting
from osr_core.data.batches import Batches
from osr_core.kinds import CALIBRATE
from osr_core.methods.base import SMALL, MethodConfig, unsaturated_exp
from osr_core.methods.softmax import Softmax
from osr_core.stage import Stage
from osr_core.trial import Trial

STEP_SHAPE = 1e6  # a Weibull of this shape is a step


def distances_to(activations: Tensor, means: Tensor, distance: str) -> Tensor:
    """(N, K) distances of activations (N, K) to mean activations (K, K); smaller is nearer."""
    euclidean = torch.cdist(activations, means, compute_mode="donot_use_mm_for_euclid_dist")
    if distance == "euclidean":
        return euclidean
    cosine = 1 - F.normalize(activations, dim=1) @ F.normalize(means, dim=1).T
    return cosine if distance == "cosine" else euclidean / 200 + cosine


def fit_tail(distances: Tensor, tail: int) -> tuple[float, float, float]:
    """Weibull shape, scale and shift of the `tail` largest of distances (n,), n >= 1."""
    from scipy.stats import weibull_min  # takes a second to import

    largest = distances.topk(min(tail, len(distances))).values
    shift = float(largest.min())
    shifted = (largest - shift + 1).cpu().numpy()
    if shifted.max() - 1 < 1 / STEP_SHAPE:
        return STEP_SHAPE, 1.0, shift
    shape, _, scale = weibull_min.fit(shifted, floc=0)
    return float(shape), float(scale), shift


def weibull_hazard(distances: Tensor, shape: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """H_k = -log(1 - F_k) of distances (B, K), one Weibull (K,) for each column."""
    return ((distances - shift + 1).clamp_min(0) / scale) ** shape


def recalibrate(logits: Tensor, cdf: Tensor, alpha: int) -> tuple[Tensor, Tensor]:
    """v'_0 (B,) and v'_k (B, K) from logits (B, K) and F_k (B, K)."""
    alpha = min(alpha, logits.shape[1])
    rank = logits.argsort(dim=1, descending=True, stable=True).argsort(1)  # from 0
    omega = ((alpha - rank.to(cdf.dtype)) / alpha).clamp_min(0) * cdf
    return (logits * omega).sum(1), logits * (1 - omega)


def paper_score(logits: Tensor, cdf: Tensor, alpha: int) -> Tensor:
    """(B,) log odds of P_0 from logits (B, K) and F_k (B, K)."""
    unknown, known = recalibrate(logits, cdf, alpha)
    return unknown - known.logsumexp(1)


def log_mean_exp(exponents: Tensor) -> Tensor:
    """(B,) log mean_k exp(x_k) of x (B, K), with all digits where it is near 0."""
    mean = exponents.expm1().mean(1)
    apart = exponents.logsumexp(1) - math.log(exponents.shape[1])
    return torch.where(mean.abs() < 0.5, mean.log1p(), apart)


def osrci_score(logits: Tensor, hazard: Tensor) -> Tensor:
    """(B,) the rule of Neal et al. and log K, from float64 logits (B, K) and H_k (B, K).

    It is -log mean_k exp(x_k), x_k = v_k exp(-H_k). Of an image far from all classes, whose x_k are
    lost, it is -mean_k x_k, which is found by their signs and logarithms.
    """
    log_sizes = logits.abs().log() - hazard
    largest = log_sizes.amax(1).clamp_min(torch.finfo(logits.dtype).min)
    scaled = (logits.sign() * (log_sizes - largest[:, None]).exp()).mean(1)
    near = log_mean_exp(logits * (-hazard).exp())
    is_far = largest < math.log(SMALL)
    log_size = torch.where(is_far, largest + scaled.abs().log(), near.abs().log())
    return -torch.where(is_far, scaled, near).sign() * unsaturated_exp(log_size)


@dataclass(frozen=True, kw_only=True)
class TailConfig(MethodConfig):
    """Rule, tail, ranks and distance."""

    rule: str = setting(
        "paper",
        "how logits and Weibulls become a score (osrci: the tables' copied rows)",
        choices=("paper", "osrci"),
        read_by="score",
    )
    tail: int = setting(
        20,
        "distances that a Weibull is fitted to (paper: 20)",
        at_least=2,
        read_by="calibrate",
        if_few="all of its distances are its tail",
    )
    alpha: int = setting(
        10,
        "best classes that the rule 'paper' recalibrates (paper: 10)",
        at_least=1,
        read_by="score",
    )
    distance: str = setting(
        "eucos",
        "between an activation and a class mean (eucos: paper; euclidean: Neal et al.)",
        choices=("euclidean", "eucos", "cosine"),
        read_by="calibrate",
    )


class Weibulls(NamedTuple):
    """What is known of K classes: where their activations (A numbers) lie, and their tails."""

    means: Tensor  # (K, A) float64
    shape: Tensor  # (K,)
    scale: Tensor  # (K,)
    shift: Tensor  # (K,)

    @classmethod
    def empty(cls, num_known: int, width: int) -> Self:
        """Before any is fitted."""
        ones, zeros = torch.ones(num_known).double(), torch.zeros(num_known).double()
        return cls(torch.zeros(num_known, width).double(), ones, ones.clone(), zeros)

    @classmethod
    def fit(cls, activations: Tensor, logits: Tensor, label: Tensor, config: "TailConfig") -> Self:
        """By `tail` and `distance` of the config, from the images that are classified correctly.

        activations (N, A) float64, logits (N, K), label (N,).
        """
        fitted = cls.empty(logits.shape[1], activations.shape[1])
        fitted = cls(*(each.to(activations.device) for each in fitted))
        for k in range(logits.shape[1]):
            of_class = label == k
            correct = of_class & (logits.argmax(1) == k)
            chosen = activations[correct if correct.any() else of_class]
            fitted.means[k] = chosen.mean(0)
            d = distances_to(chosen, fitted.means[k : k + 1], config.distance)[:, 0]
            fitted.shape[k], fitted.scale[k], fitted.shift[k] = fit_tail(d, config.tail)
        return fitted

    def rejection(self, activations: Tensor, logits: Tensor, config: "TailConfig") -> Tensor:
        """(B,) by `rule` and `alpha`, from activations (B, A) and logits (B, K), both float64."""
        d = distances_to(activations, self.means, config.distance)
        hazard = weibull_hazard(d, self.shape, self.scale, self.shift)
        if config.rule == "osrci":
            return osrci_score(logits, hazard).float()
        return paper_score(logits, -torch.expm1(-hazard), config.alpha).float()


class OpenMax(Softmax):
    """Softmax's classifier with a Weibull for each class."""

    name = "openmax"
    title = "OpenMax"
    source = "Bendale and Boult, CVPR 2016, algorithms 1 and 2"
    version = 3

    @dataclass(frozen=True, kw_only=True)
    class Config(TailConfig, Softmax.Config):
        """The classifier's, and what Weibulls make of its logits."""

    means: Tensor
    shape: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        for name, value in Weibulls.empty(num_known, num_known)._asdict().items():
            self.register_buffer(name, value)

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.stage(CALIBRATE, "calibrate", inputs={"classifier": trial.fit(Softmax)})

    def calibrate(self, train: Batches) -> None:
        """Means and Weibulls of the classes, from un-augmented images."""
        batches = list(train.ordered())
        logits = torch.cat([self.head(self.embed(batch.images)) for batch in batches]).double()
        label = torch.cat([batch.label for batch in batches])
        self.check_labels(label)
        fitted = Weibulls.fit(logits, logits, label, self.config)
        self.means, self.shape, self.scale, self.shift = fitted

    def unknown_score(self, logits: Tensor) -> Tensor:
        fitted = Weibulls(self.means, self.shape, self.scale, self.shift)
        return fitted.rejection(logits.double(), logits.double(), self.config)
