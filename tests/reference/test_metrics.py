"""Metrics against scikit-learn, slow loops, hand-worked examples and what theory promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from osr_core.confidence import auroc_error
from osr_core.data.base import UNKNOWN
from osr_core.metrics import (
    accuracy,
    aupr_known,
    aupr_unknown,
    auroc,
    evaluate,
    fpr95_known_positive,
    fpr95_unknown_positive,
    macro_f1,
    oscr,
)

K = 3
unhurried = settings(deadline=None)  # a busy machine is not a slow metric
SCORE_METRICS = (
    *(auroc, auroc_error, aupr_unknown, aupr_known),
    *(fpr95_known_positive, fpr95_unknown_positive),
)


def drawn(seed, *, levels, known=70, unknown=50):
    """A random test set; scores take few distinct values, so most are tied, or practically all."""
    generator = np.random.default_rng(seed)
    label = np.r_[generator.integers(0, K, known), np.full(unknown, UNKNOWN)]
    right = generator.random(len(label)) < 0.8
    predicted = np.where(right & (label >= 0), label, generator.integers(0, K, len(label)))
    score = generator.integers(0, levels, len(label)) + (label == UNKNOWN) * generator.integers(
        0, 3
    )
    return score.astype(np.float64), predicted, label


def evaluated(score, predicted, label, num_known):
    """All metrics, the confidence following from the image's class and prediction."""
    confidence = (1 + np.asarray(predicted, float) + (np.asarray(label) == predicted)) / 5
    return evaluate(score, predicted, label, num_known, confidence)


cases = pytest.mark.parametrize(
    ("seed", "levels"), [(0, 2), (1, 4), (2, 11), (3, 50), (4, 10**9), (5, 1)]
)


@st.composite
def small_sets(draw):
    """Small test sets with many ties, at least one image of each kind."""
    images = st.tuples(st.integers(-1, K - 1), st.integers(0, K - 1), st.integers(-4, 4).map(float))
    drawn_images = draw(st.lists(images, max_size=30))
    drawn_images += [
        (0, draw(st.integers(0, K - 1)), 0.0),
        (UNKNOWN, 0, draw(st.integers(-9, 9)) / 2),
    ]
    label, predicted, score = zip(*drawn_images, strict=True)
    return np.array(score), np.array(predicted), np.array(label)


@cases
def test_metrics_agree_with_scikit_learn(seed, levels):
    """Where scikit-learn has the metric, ours is the same number, ties included."""
    score, predicted, label = drawn(seed, levels=levels)
    unknown = label == UNKNOWN
    fpr, tpr, thresholds = roc_curve(~unknown, -score, drop_intermediate=False)
    at95 = np.argmax(tpr >= 0.95)
    answer = np.where(-score >= thresholds[at95], predicted, K)
    truth = np.where(unknown, K, label)

    assert auroc(score, label) == pytest.approx(roc_auc_score(unknown, score), abs=1e-12)
    assert aupr_unknown(score, label) == pytest.approx(average_precision_score(unknown, score))
    assert aupr_known(score, label) == pytest.approx(average_precision_score(~unknown, -score))
    assert fpr95_known_positive(score, label) == pytest.approx(fpr[at95])
    rejected_known, rejected_unknown, _ = roc_curve(unknown, score, drop_intermediate=False)
    at95_unknown = np.argmax(rejected_unknown >= 0.95)
    assert fpr95_unknown_positive(score, label) == pytest.approx(rejected_known[at95_unknown])
    assert macro_f1(score, predicted, label, K) == pytest.approx(
        f1_score(truth, answer, labels=range(K + 1), average="macro", zero_division=0)
    )


@cases
def test_auroc_and_oscr_equal_their_definition_as_loops(seed, levels):
    """Each pair by itself for AUROC; each threshold by itself and trapezoids for OSCR."""
    score, predicted, label = drawn(seed, levels=levels)
    known, unknown = score[label >= 0], score[label < 0]
    pairs = [(u > k) + 0.5 * (u == k) for u in unknown for k in known]
    right = (predicted == label)[label >= 0]
    area = ccr = fpr = 0.0
    for threshold in sorted(set(score)):
        next_ccr = sum((known <= threshold) & right) / len(known)
        next_fpr = sum(unknown <= threshold) / len(unknown)
        area += (next_fpr - fpr) * (ccr + next_ccr) / 2
        ccr, fpr = next_ccr, next_fpr

    assert auroc(score, label) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert oscr(score, predicted, label) == pytest.approx(area, abs=1e-12)


def test_worked_example():
    """Small enough to do by hand: four knowns of which one is misclassified, two unknowns."""
    score = [0.1, 0.2, 0.3, 0.8, 0.3, 0.9]
    predicted = [0, 1, 1, 2, 0, 1]
    label = [0, 1, 2, 2, UNKNOWN, UNKNOWN]
    # unknown 0.3 beats 0.1 and 0.2 and ties with 0.3; unknown 0.9 beats all four
    assert auroc(score, label) == (2 + 0.5 + 4) / 8
    # the known at 0.3 is misclassified, so its pairs earn nothing
    assert oscr(score, predicted, label) == (2 + 3) / 8
    assert accuracy(predicted, label) == 3 / 4
    # all four knowns must be accepted to reach 95 %: t = 0.8 accepts the unknown at 0.3
    assert fpr95_known_positive(score, label) == 1 / 2
    # both unknowns must be rejected to reach 95 %: from 0.3 on, which rejects two of four knowns
    assert fpr95_unknown_positive(score, label) == 2 / 4
    # 0.9: precision 1 at recall 1/2; 0.8: no gain; 0.3 (tied): 2 of 4 at recall 1
    assert aupr_unknown(score, label) == 1 / 2 * 1 + 1 / 2 * 2 / 4
    # F1: class 0 2/3 (one unknown taken for it), 1 2/3, 2 2/3, unknown 2/3
    assert macro_f1(score, predicted, label, 3) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("known", "accepted"), [(19, 19), (20, 19), (21, 20), (40, 38), (100, 95)])
def test_threshold_accepts_95_percent_exactly(known, accepted):
    """0.95 * n in floating point would land one image too high for some n."""
    score = np.r_[np.arange(known), np.arange(known) + 0.5]
    label = np.r_[np.zeros(known), np.full(known, UNKNOWN)].astype(int)
    assert fpr95_known_positive(score, label) == (accepted - 1) / known


def test_constant_score_knows_nothing():
    """All images tied: AUROC one half, OSCR half the accuracy, every unknown accepted."""
    _, predicted, label = drawn(7, levels=2)
    constant = np.zeros(len(label))
    assert auroc(constant, label) == 0.5
    assert oscr(constant, predicted, label) == pytest.approx(accuracy(predicted, label) / 2)
    assert fpr95_known_positive(constant, label) == 1.0
    assert aupr_unknown(constant, label) == pytest.approx(np.mean(label == UNKNOWN))


def test_perfect_score_earns_the_accuracy():
    """Unknowns all above: what is left to lose is the classification."""
    _, predicted, label = drawn(8, levels=2)
    perfect = np.where(label == UNKNOWN, 1e9, 0.0)
    metrics = evaluated(perfect, predicted, label, K)
    assert metrics["auroc"] == metrics["aupr_unknown"] == metrics["aupr_known"] == 1.0
    assert metrics["oscr"] == pytest.approx(metrics["accuracy"])
    assert metrics["fpr95_known_positive"] == metrics["fpr95_unknown_positive"] == 0.0
    assert metrics["auroc_error"] == 0.0


def test_accuracy_rejects_nothing():
    """Unknown images do not count, whatever is predicted for them."""
    assert accuracy([0, 1, 1, 2], [0, 1, 2, UNKNOWN]) == 2 / 3


@unhurried
@given(small_sets(), st.integers(-3, 3))
def test_monotone_transforms_change_nothing(test_set, exponent):
    """Only the order of the scores counts (powers of two lose no bit)."""
    score, predicted, label = test_set
    ranks = np.unique(score, return_inverse=True)[1]
    expected = evaluated(score, predicted, label, K)
    assert evaluated(score * 2.0**exponent, predicted, label, K) == expected
    assert evaluated(ranks, predicted, label, K) == expected


@unhurried
@given(small_sets())
def test_swapped_sign_gives_one_minus_auroc(test_set):
    """An AUROC below one half is a flipped sign, to be seen and not to be hidden."""
    score, _, label = test_set
    assert auroc(-score, label) == pytest.approx(1 - auroc(score, label), abs=1e-12)


@unhurried
@given(small_sets(), st.randoms(use_true_random=False))
def test_order_of_images_changes_nothing(test_set, random):
    """Also not in the last bit: results are compared byte for byte."""
    score, predicted, label = test_set
    order = list(range(len(label)))
    random.shuffle(order)
    shuffled = evaluated(score[order], predicted[order], label[order], K)
    assert shuffled == evaluated(score, predicted, label, K)


@unhurried
@given(small_sets())
def test_metrics_keep_their_bounds(test_set):
    """Fractions all; rejecting can only lose what classifying and ranking each leave."""
    metrics = evaluated(*test_set, K)
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["oscr"] <= min(metrics["accuracy"], metrics["auroc"]) + 1e-12


def test_float32_scores_give_plain_floats():
    """What a GPU hands over; MLflow and JSON want Python's own floats."""
    score, predicted, label = drawn(9, levels=5)
    metrics = evaluated(score.astype(np.float32), predicted, label, K)
    assert metrics == evaluated(score, predicted, label, K)
    assert {type(value) for value in metrics.values()} == {float}


@pytest.mark.parametrize("metric", SCORE_METRICS)
def test_score_metrics_refuse_what_has_no_answer(metric):
    """The message says what is wrong, with numbers."""
    with pytest.raises(ValueError, match=r"2 are known and 0 unknown"):
        metric([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match=r"0 are known and 2 unknown"):
        metric([0.1, 0.2], [UNKNOWN, UNKNOWN])
    with pytest.raises(
        ValueError, match=r"1 of 2 unknown .* no finite numbers, first nan at position 1"
    ):
        metric([0.1, np.nan], [0, UNKNOWN])
    with pytest.raises(ValueError, match=r"unknown_score has shape \(3,\) and label \(2,\)"):
        metric([0.1, 0.2, 0.3], [0, UNKNOWN])
    with pytest.raises(ValueError, match=r"one-dimensional"):
        metric([[0.1, 0.2]], [[0, UNKNOWN]])
    with pytest.raises(ValueError, match=r"smallest value -2"):
        metric([0.1, 0.2], [0, -2])


def test_class_metrics_refuse_what_has_no_answer():
    """Accuracy needs a known image; classes stay below the number of known ones."""
    with pytest.raises(ValueError, match=r"all 1 test images are unknown"):
        accuracy([0], [UNKNOWN])
    with pytest.raises(ValueError, match=r"predicted has shape \(1,\)"):
        oscr([0.1, 0.2], [0], [0, UNKNOWN])
    with pytest.raises(ValueError, match=r"must be in \[0, 2\), got labels up to 2"):
        macro_f1([0.1, 0.2], [0, 1], [2, UNKNOWN], 2)
    with pytest.raises(ValueError, match=r"predictions from -1"):
        macro_f1([0.1, 0.2], [-1, 1], [0, UNKNOWN], 2)


@pytest.mark.parametrize("label", [[0.0, math.nan, -1.0], [0.0, 0.5, -1.0], [0.0, math.inf, -1.0]])
def test_labels_that_are_no_whole_numbers_are_refused(label):
    """NaN would count as known, and a half as the class below it."""
    for metric in (auroc, aupr_known, fpr95_known_positive):
        with pytest.raises(ValueError, match="a label must be a whole number; there is"):
            metric([0.1, 0.2, 0.3], label)


def test_whole_numbers_of_any_type_are_labels():
    """Read from a file, they may be floats."""
    scores = [0.1, 0.2, 0.3]
    assert auroc(scores, [0.0, 1.0, -1.0]) == auroc(scores, [0, 1, -1]) == 1


def test_whole_numbers_of_any_type_are_predictions():
    """As labels are; F1 counts with them."""
    labels = [0, 1, -1]
    of_whole = evaluated([0.1, 0.2, 0.3], [0, 1, 0], labels, 2)
    assert evaluated([0.1, 0.2, 0.3], [0.0, 1.0, 0.0], labels, 2) == of_whole


@pytest.mark.parametrize("label", [np.array([0, 1, 2**64 - 1], np.uint64), [0, 1, 1e300]])
def test_labels_beyond_all_classes_are_refused(label):
    """In 64 bits the largest number without a sign is -1: an unknown image."""
    with pytest.raises(ValueError, match="a label must be at most 2147483647; there is"):
        auroc([0.1, 0.2, 0.3], label)


@pytest.mark.parametrize("number", range(3))
def test_masked_values_are_refused(number):
    """What lies below a mask was counted as if no mask was there."""
    arrays = [np.array([0.1, 0.2, 0.3]), np.array([0, 1, 0]), np.array([0, 1, -1])]
    arrays[number] = np.ma.array(arrays[number], mask=[True, False, False])
    with pytest.raises(ValueError, match="is masked in places"):
        evaluated(*arrays, 2)


@pytest.mark.parametrize("scores", [["1", "2", "10"], [1 + 1j, 2, 3], [10**400, 2, 3]])
def test_scores_that_are_no_real_numbers_are_refused(scores):
    """Texts were read, and imaginary parts left out."""
    with pytest.raises(ValueError, match="each unknown score must be a real number, not of type"):
        auroc(scores, [0, 1, -1])


@pytest.mark.parametrize("predicted", [[0.5, 0, 1], [math.nan, 0, 1], ["a", "b", "c"]])
def test_predictions_that_are_no_classes_are_refused(predicted):
    """As labels are."""
    with pytest.raises(ValueError, match="a predicted class must be a whole number; there is"):
        accuracy(predicted, [0, 1, 1])


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan])
def test_scores_that_are_not_finite_are_refused(score):
    """A network that is lost would be ranked above or below all."""
    with pytest.raises(ValueError, match="1 of 3 unknown scores are no finite numbers, first"):
        auroc([0.1, score, 0.3], [0, 1, -1])
