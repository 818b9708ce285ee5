"""The measurement that chose PMAL's reading of robustness, on classifiers made by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.choices.robustness import CRITERIA, TASKS, by_correlation, last_fit, quality, shared
from benchmarks.in_process import Stages
from osr_core.methods.pmal.topology import centred
from osr_core.methods.softmax import Softmax

LABEL = torch.arange(3).repeat_interleave(40)


def classifiers(noise: Tensor, lengths: float = 0.0) -> list[Tensor]:
    """Logits (120, 3) of four, who disagree about an image by `noise` (120,) and its length."""
    generator = torch.Generator().manual_seed(0)
    own = (4 - 3 * noise[:, None]) * torch.nn.functional.one_hot(LABEL, 3)
    draws = torch.randn(4, 2, 120, 3, generator=generator, dtype=torch.float64)
    return [(own + noise[:, None] * this) * (lengths * that[:, :1]).exp() for this, that in draws]


def test_what_classifiers_agree_on_is_quality() -> None:
    """Images that all place alike are those that a held-out one is sure of, whoever asks."""
    found = quality(classifiers(torch.linspace(0.05, 1, 40).double().repeat(3)), LABEL, "sqrt_n")
    assert found["confidence"] > 0.4
    assert found["correct"] > 0.6
    assert found["agreement"] > 0.2
    assert found["top_quarter_shared"] > 0.25
    shares = list(found["candidates"].values())
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(("mode", "follows"), [("median", True), ("relative", False)])
def test_lengths_of_logits_are_told_from_quality(mode: str, follows: bool) -> None:
    """Where classifiers differ in nothing but lengths, `median` measures these."""
    logits = classifiers(torch.full((120,), 0.3).double(), lengths=0.3)
    assert (quality(logits, LABEL, mode)["equal_norms"] > 0.5) == follows


def test_modes_are_compared_with_as_many_candidates() -> None:
    """Of two that agree on the more robust half, whatever the threshold would leave, all ten are
    shared; an image without an r is no candidate.
    """
    points = centred(classifiers(torch.linspace(0.05, 1, 120).double())[0])
    log_r = -torch.linspace(0, 1, 120).double()
    of_half = log_r.where(log_r >= log_r.median(), -torch.inf)
    steeper = (50 * log_r).where(of_half.isfinite(), -torch.inf)
    assert shared((points, points), (of_half, steeper), 0) == 1
    assert shared((points, points), (log_r, 50 * log_r), 0.7) < 1
    assert shared((points, points), (of_half, log_r.flip(0) + of_half.flip(0)), 0) < 0.1


def test_a_lead_is_told_with_its_spread() -> None:
    """Of all that a mode is chosen by: a lead within it is none."""
    found = quality(classifiers(torch.linspace(0.05, 1, 40).double().repeat(3)), LABEL, "relative")
    assert set(found["spread"]) == set(CRITERIA)
    assert all(0 < value < 0.3 for value in found["spread"].values())


def test_equal_rows_correlate_fully() -> None:
    """So every image is a candidate at every epsilon."""
    points = [centred(each) for each in classifiers(torch.ones(120).double())]
    assert set(by_correlation([points[0], points[0]], LABEL).values()) == {1.0}


@pytest.mark.parametrize("warm_start", [True, False])
def test_the_last_fit_draws_as_that_of_a_sweep(warm_start: bool) -> None:
    """It once had no role, and replayed the first classifier's order of images and augmentation;
    where it starts afresh, from that one's initial weights, too.
    """
    (task,) = (each for each in TASKS if each.dataset == "digits")
    trial = task.trial(Stages(), warm_start=warm_start)
    short = replace(trial.training, epochs=task.final_epochs)
    fit, in_sweep = last_fit(trial, short), replace(trial, training=short).model
    assert fit.config == in_sweep.config
    assert fit.config["role"] != trial.fit(Softmax).config.get("role")
    assert ("classifier" in fit.inputs) == warm_start
    assert fit.inputs["prototypes"].inputs["member0"].id == trial.fit(Softmax).id
