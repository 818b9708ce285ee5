"""Risk, calibration and the AUROC's error against slow loops and packages of other people."""

import math

import numpy as np
import pytest
from osr_metrics.calibration import expected_calibration_error_multiclass
from osr_metrics.ood import fpr_at_95tpr
from osr_metrics.osr import compute_aoscr_multiclass
from osr_metrics.selective import aurc as their_aurc

from osr_core.confidence import NUM_BINS, aurc, auroc_error, ece
from osr_core.data.base import UNKNOWN
from osr_core.metrics import auroc, fpr95_unknown_positive, oscr

K = 4


def drawn(seed: int, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Score, probabilities, predictions and labels of 60 known and 45 unknown images."""
    generator = np.random.default_rng(seed)
    label = np.r_[generator.integers(0, K, 60), np.full(45, UNKNOWN)]
    logits = generator.normal(size=(105, K)) + 2 * (label[:, None] == np.arange(K))
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    score = generator.integers(0, levels, 105) + 0.3 * levels * (label == UNKNOWN)
    return score, probability, probability.argmax(1), label


cases = pytest.mark.parametrize(("seed", "levels"), [(0, 2), (1, 7), (2, 40), (3, 10**9)])


@cases
def test_the_error_of_an_auroc_is_delongs_as_loops(seed: int, levels: int):
    """Each image's share of pairs won, and the variance of these on both sides."""
    score, _, _, label = drawn(seed, levels)
    known, unknown = score[label >= 0], score[label < 0]
    won = [[(u > k) + 0.5 * (u == k) for k in known] for u in unknown]
    area = sum(map(sum, won)) / (len(known) * len(unknown))
    of_unknown = [sum(row) / len(known) for row in won]
    of_known = [sum(row[i] for row in won) / len(unknown) for i in range(len(known))]
    variance = 0.0
    for shares in (of_unknown, of_known):
        spread = sum((share - area) ** 2 for share in shares) / (len(shares) - 1)
        variance += spread / len(shares)
    assert auroc_error(score, label) == pytest.approx(math.sqrt(variance), abs=1e-14)


def test_the_error_of_an_auroc_covers_the_truth():
    """Of 400 test sets of two normal distributions, about 95 % have it within 1.96 errors."""
    generator = np.random.default_rng(0)
    truth = 0.5 * (1 + math.erf(1 / 2))  # of N(1, 1) above N(0, 1)
    label = np.r_[np.zeros(80, int), np.full(50, UNKNOWN)]
    inside = 0
    for _ in range(400):
        score = np.r_[generator.normal(0, 1, 80), generator.normal(1, 1, 50)]
        inside += abs(auroc(score, label) - truth) <= 1.96 * auroc_error(score, label)
    assert 0.92 <= inside / 400 <= 0.98


@cases
def test_aurc_is_the_mean_risk_over_coverages_as_a_loop(seed: int, levels: int):
    """Accept the k least unknown images, for each k; tied ones share their errors."""
    score, _, predicted, label = drawn(seed, levels)
    wrong = predicted != label
    risks = []
    for k in range(1, len(score) + 1):
        bound = sorted(score)[k - 1]
        below, tied = score < bound, score == bound
        errors = wrong[below].sum() + wrong[tied].mean() * (k - below.sum())
        risks.append(errors / k)
    assert aurc(score, predicted, label) == pytest.approx(np.mean(risks), abs=1e-12)
    assert aurc(score, predicted, label) == pytest.approx(their_aurc(score, wrong.astype(float)))


@cases
def test_ece_is_the_gap_of_each_bin_as_a_loop(seed: int, levels: int):
    """Of known images alone."""
    _, probability, predicted, label = drawn(seed, levels)
    sure, known = probability.max(1), label >= 0
    found = 0.0
    for number in range(NUM_BINS):
        low, high = number / NUM_BINS, (number + 1) / NUM_BINS
        inside = known & (sure > low) & (sure <= high)
        if inside.any():
            right = (predicted == label)[inside].mean()
            found += inside.sum() / known.sum() * abs(right - sure[inside].mean())
    assert ece(sure, predicted, label) == pytest.approx(found, abs=1e-12)
    theirs = expected_calibration_error_multiclass(probability[known], label[known], NUM_BINS)
    assert ece(sure, predicted, label) == pytest.approx(theirs, abs=1e-12)


@cases
def test_other_metrics_are_those_of_osr_metrics(seed: int, levels: int):
    """Its FPR95 is that of "unknown" as the positive class."""
    score, _, predicted, label = drawn(seed, levels)
    unknown = (label == UNKNOWN).astype(int)
    assert fpr95_unknown_positive(score, label) == pytest.approx(fpr_at_95tpr(score, unknown))
    area = compute_aoscr_multiclass(score, unknown, predicted, label)
    assert oscr(score, predicted, label) == pytest.approx(area, abs=1e-9)


@pytest.mark.parametrize("confidence", [[1.2, 0.5], [-0.1, 0.5], [math.nan, 0.5]])
def test_a_confidence_is_a_probability(confidence: list[float]):
    """Logits would fall into the last bin."""
    with pytest.raises(ValueError, match="confidence"):
        ece(confidence, [0, 0], [0, UNKNOWN])
