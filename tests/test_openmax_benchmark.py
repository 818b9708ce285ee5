"""The comparison of OpenMax's rules rates what the product scores, and the older rule beside it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.choices.openmax import RULES, Task, compared, measured
from benchmarks.in_process import Stages
from osr_core.methods.openmax import OpenMax

GENERATOR = torch.Generator().manual_seed(0)
LABEL = torch.arange(90) % 3
TRAIN = torch.randn(90, 3, generator=GENERATOR) + 4 * torch.nn.functional.one_hot(LABEL, 3)
TEST_LABEL = torch.arange(80) % 4 - 1


def logits_of_test(lowest: float) -> Tensor:
    """(80, 3) whose smallest is this in every image, unknown ones among them."""
    logits = torch.randn(80, 3, generator=torch.Generator().manual_seed(1))
    logits += 2 * torch.nn.functional.one_hot(TEST_LABEL.clamp_min(0), 3)
    return logits - logits.amin(1, keepdim=True) + lowest


def test_the_default_rule_is_the_product_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit of two epochs on digits, scored by the stages of an OpenMax trial."""
    monkeypatch.setattr("benchmarks.choices.openmax.SPLITS", [1])
    task, stages = Task(dataset="digits", epochs=2, padding=1), Stages()
    (row,) = measured(task)
    trial = replace(task.trial(stages, 1), method=OpenMax, config=OpenMax.Config())
    scored = stages.run(trial.score).metrics
    assert row["auroc"]["paper eucos"] == pytest.approx(scored["test/auroc"], abs=1e-4)
    assert row["accuracy"] == pytest.approx(scored["test/accuracy"], abs=1e-4)


@pytest.mark.parametrize("distance", ["eucos", "euclidean"])
def test_the_older_rule_subtracted_the_lowest_logit(distance: str) -> None:
    """Where that is 0 it was the printed formula; elsewhere it was not."""
    older, paper = f"older {distance}", f"paper {distance}"
    same = compared(TRAIN, LABEL, logits_of_test(0.0), TEST_LABEL)
    other = compared(TRAIN, LABEL, logits_of_test(-1.0), TEST_LABEL)
    for numbers in ("auroc", "known_rejected"):
        assert same[numbers][older] == same[numbers][paper]
    assert other["auroc"][older] != other["auroc"][paper]


def test_every_rule_has_its_number() -> None:
    """Beside the two scores that need no calibration."""
    found = compared(TRAIN, LABEL, logits_of_test(-1.0), TEST_LABEL)
    names = [f"{rule} {distance}" for rule, distance in RULES]
    assert list(found["auroc"]) == ["MSP", "MLS", *names]
    assert list(found["known_rejected"]) == [name for name in names if "osrci" not in name]
