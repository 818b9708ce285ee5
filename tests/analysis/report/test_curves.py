"""Curves over splits, against thresholds tried one after the other."""

import numpy as np
import pytest

from analysis.figures.source import Scores
from analysis.report.curves import RATES, band, oscr_curve, oscr_points, roc_curve
from analysis.report.portraits import BINS, confusion, densities, histogram, ranked
from osr_core.metrics import auroc, oscr


def made_up(seed, classes=3, num=60, tied=False):
    """Scores of as many known as unknown images; tied ones take five values."""
    random = np.random.default_rng(seed)
    label = np.concatenate([random.integers(0, classes, num), np.full(num, -1)])
    wrong = random.random(2 * num) < 0.3
    predicted = np.where(wrong, random.integers(0, classes, 2 * num), np.maximum(label, 0))
    score = random.normal(size=2 * num) + (label < 0)
    return Scores([], label, predicted, np.round(score) if tied else score, [None] * 2 * num)


def slow(scores, across, up):
    """A curve at RATES: every threshold tried, straight lines between its points."""
    thresholds = [*np.unique(scores.unknown_score), np.inf]
    points = sorted([(0.0, 0.0), *((across(one), up(one)) for one in thresholds)])
    heights = []
    for rate in RATES:
        reached = [height for place, height in points if place == rate]
        if reached:
            heights.append(max(reached))
            continue
        left = max(point for point in points if point[0] < rate)
        right = min(point for point in points if point[0] > rate)
        share = (rate - left[0]) / (right[0] - left[0])
        heights.append(left[1] + share * (right[1] - left[1]))
    return heights


@pytest.mark.parametrize("tied", [False, True])
def test_oscr_curve_is_that_of_thresholds_tried_in_turn(tied):
    """Of images accepted below each threshold: unknown ones, and known ones that are right."""
    scores = made_up(1, tied=tied)
    known, score = scores.known, scores.unknown_score
    right = known & (scores.predicted == scores.label)
    expected = slow(
        scores,
        lambda t: (score[~known] <= t).mean(),
        lambda t: (score[right] <= t).sum() / known.sum(),
    )
    np.testing.assert_allclose(oscr_curve(scores), expected, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_roc_curve_is_that_of_thresholds_tried_in_turn(tied):
    """Of images rejected above each threshold."""
    scores = made_up(2, tied=tied)
    known, score = scores.known, -scores.unknown_score
    mirrored = Scores([], scores.label, scores.predicted, score, scores.class_name)
    expected = slow(
        mirrored, lambda t: (score[known] <= t).mean(), lambda t: (score[~known] <= t).mean()
    )
    np.testing.assert_allclose(roc_curve(scores), expected, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_areas_below_the_curves_are_the_metrics(tied):
    """With all points; the curves that are drawn are those at 41 rates."""
    scores = made_up(3, tied=tied)
    across, up = oscr_points(scores)
    area = oscr(scores.unknown_score, scores.predicted, scores.label)
    assert np.trapezoid(up, across) == pytest.approx(area)
    assert np.trapezoid(oscr_curve(scores), RATES) == pytest.approx(area, abs=0.02)
    roc = np.trapezoid(roc_curve(scores), RATES)
    assert roc == pytest.approx(auroc(scores.unknown_score, scores.label), abs=0.02)


def test_band_is_of_splits_and_seeds_count_within_one():
    """Two seeds of split 0 lie at 0.2 and 0.4, split 1 at 0.9."""
    curves = [(0, 0.2), (0, 0.4), (1, 0.9)]
    over = band((split, np.full(len(RATES), height)) for split, height in curves)
    assert (over.mean[0], over.low[0], over.high[0]) == pytest.approx((0.6, 0.3, 0.9))
    assert over.num_splits == 2


def test_bins_of_a_histogram_hold_all_images():
    """Also those far out, which would leave all others in one bin."""
    scores = made_up(4, num=600)
    scores.unknown_score[0] = 1e6
    edges, shares = densities(scores.unknown_score, scores.known)
    assert len(edges) == BINS + 1
    assert edges[-1] < 10
    assert [share.sum() for share in shares] == pytest.approx([100, 100])


def test_constant_scores_have_a_histogram():
    """One bin."""
    scores = made_up(5)
    scores.unknown_score[:] = 2.0
    _, (known, unknown) = densities(scores.unknown_score, scores.known)
    assert known.max() == unknown.max() == 100


def test_scores_of_many_orders_of_magnitude_are_drawn_by_rank():
    """CAC's: nearly all known images would lie in one bin. Two tied values share their rank."""
    found = ranked(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    assert found.tolist() == [12.5, 50.0, 100.0]
    scores = made_up(7)
    assert "by rank" not in histogram(scores, "")
    spread = Scores([], scores.label, scores.predicted, np.exp(9 * scores.unknown_score), [])
    assert "unknown score, by rank, %" in histogram(spread, "")


def test_many_classes_show_their_largest_confusions():
    """A matrix of twenty classes is no picture."""
    found = confusion(made_up(6, classes=20, num=400))
    assert found.names == ()
    shares = [share for *_, share in found.largest]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert all(own != answer for own, answer, _ in found.largest)
    assert len(confusion(made_up(6)).shares) == 4
