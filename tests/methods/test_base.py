"""What methods inherit: labels, one pass for validation, weights of another method."""

import math

import pytest
import torch
from pixels import images_of, method_on_pixels

from osr_core.errors import ConfigError, TrainingError
from osr_core.methods import METHODS, method_named
from osr_core.methods.base import log_odds_of_unknown
from osr_core.methods.cac import CAC
from osr_core.methods.knn import KNN
from osr_core.methods.mls import MLS
from osr_core.methods.openmax import OpenMax
from osr_core.methods.softmax import Softmax


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    """A spec's typo is the most common mistake."""
    with pytest.raises(ConfigError, match="Did you mean 'openmax'"):
        method_named("openmxa")


def test_names_are_keys_and_titles_differ() -> None:
    """Two rows of a table must not be called alike."""
    assert all(METHODS[name].name == name for name in METHODS)
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


def test_validation_passes_the_backbone_once() -> None:
    """Terms and accuracy come from the same embeddings."""
    method = method_on_pixels(CAC, 2)
    calls = []
    method.backbone.register_forward_hook(lambda *_: calls.append(1))
    batch = next(images_of([[200, 0], [0, 100], [200, 100]], [0, 1, 1]).ordered())
    with torch.no_grad():
        measured = method.validation(batch)
        assert len(calls) == 1
        assert float(measured["accuracy"]) == pytest.approx(2 / 3)
        assert torch.equal(measured["anchor"], method.losses(batch)["anchor"])


def test_a_classifier_of_another_method_can_be_taken_over() -> None:
    """OpenMax's own buffers may be missing; the weights arrive."""
    source, target = method_on_pixels(Softmax, 3), method_on_pixels(OpenMax, 3)
    with torch.no_grad():
        source.head.weight.mul_(2)
    target.load_classifier(source.state_dict())
    assert torch.equal(target.head.weight, 2 * torch.eye(3))


def test_weights_that_do_not_fit_are_refused() -> None:
    """A missing parameter would be scored at its random start; a spare one is a wrong upstream."""
    weights = method_on_pixels(MLS, 3).state_dict()
    with pytest.raises(TrainingError, match=r"head\.weight is missing"):
        method_on_pixels(OpenMax, 3).load_classifier({})
    with pytest.raises(TrainingError, match="anchors has no place"):
        method_on_pixels(OpenMax, 3).load_classifier({**weights, "anchors": torch.eye(3)})


@pytest.mark.parametrize("load", ["load_classifier", "load_trained"])
def test_a_weight_of_another_shape_is_named(load: str) -> None:
    """A classifier of other classes is refused with both shapes, not with torch's error."""
    weights = method_on_pixels(OpenMax, 4).state_dict()
    with pytest.raises(TrainingError, match=r"head\.weight is of shape \(4, 4\), not \(3, 3\)"):
        getattr(method_on_pixels(OpenMax, 3), load)(weights)


def test_a_buffer_of_another_shape_is_named_too() -> None:
    """Of a calibration for other classes, torch would raise an error that says no method."""
    weights = method_on_pixels(OpenMax, 3).state_dict()
    with pytest.raises(TrainingError, match=r"'openmax': means is of shape \(4, 4\), not \(3, 3\)"):
        method_on_pixels(OpenMax, 3).load_trained({**weights, "means": torch.eye(4)})


def test_a_bank_is_as_large_as_what_was_calibrated() -> None:
    """The score is not told how many training images there were."""
    method = method_on_pixels(KNN, 3)
    weights = method.state_dict()
    bank = torch.ones(7, weights["bank"].shape[1])
    method.load_trained({**weights, "bank": bank})
    assert torch.equal(method.bank, bank)


def test_a_trained_method_needs_its_buffers_too() -> None:
    """Weibulls at their start would score without a word."""
    with pytest.raises(TrainingError, match="means is missing"):
        method_on_pixels(OpenMax, 3).load_trained(method_on_pixels(MLS, 3).state_dict())


def test_log_odds_tell_apart_what_rounds_to_probability_one() -> None:
    """Float32 has one number for all of these; as probabilities they would tie."""
    logits = torch.tensor(
        [[20.0, 0.0, -5.0], [30.0, 0.0, 1.0], [90.0, 0.0, 0.0], [200.0, 1.0, 0.0]]
    )
    assert len(set(logits.softmax(1).amax(1)[1:].tolist())) == 1
    odds = log_odds_of_unknown(logits)
    assert odds.tolist() == sorted(odds.tolist(), reverse=True)
    for row, found in zip(logits.tolist(), odds.tolist(), strict=True):
        best, *others = sorted(row, reverse=True)
        expected = math.log(sum(math.exp(value) for value in others)) - best
        assert found == pytest.approx(expected, rel=1e-6)


def test_log_odds_rank_like_the_largest_probability_and_count_a_tie_once() -> None:
    """Two equal largest logits: one of them is the best, the other is among the rest."""
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    by_odds = log_odds_of_unknown(logits).argsort()
    assert torch.equal(by_odds, (-logits.double().softmax(1).amax(1)).argsort())
    assert log_odds_of_unknown(torch.zeros(1, 2)).item() == 0
