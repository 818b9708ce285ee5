"""A generator that learns within a fit, and whose images are all alike, is told of by the fit."""

import pytest
import torch
from blobs import TRAINING, Runs, context, shortened, trial
from torch import Tensor

from osr_core.execution import run_stage
from osr_core.methods.arpl_cs.gan import Generator
from osr_core.methods.collapse import COLLAPSED, deviation, warn_if_collapsed


def test_a_fit_whose_generator_has_collapsed_says_so(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number that shows it, of its last epoch; the fit goes on to its end all the same."""
    stage = trial("arpl_cs", shortened(TRAINING, epochs=2)).model
    assert runs.result(stage).metrics["train/variety"] > COLLAPSED
    made = Generator.forward

    def grey(generator: Generator, noise: Tensor) -> Tensor:
        return 0.5 + 0 * made(generator, noise)

    monkeypatch.setattr(Generator, "forward", grey)
    with pytest.warns(UserWarning, match=r"differ by 0\.000 of .* the generator has collapsed"):
        result = run_stage("fit", stage.config, context({}))
    assert result.metrics["train/variety"] == 0
    assert "train/generator" in result.metrics


@pytest.mark.parametrize(("variety", "warned"), [(0.0, True), (0.099, True), (0.101, False)])
def test_a_tenth_of_the_deviation_is_enough(
    variety: float, warned: bool, recwarn: pytest.WarningsRecorder
) -> None:
    """One rule for all generators; each says what helps it."""
    warn_if_collapsed(variety, "Train it longer.")
    said = [str(each.message) for each in recwarn.list]
    assert len(said) == warned
    assert all(f"differ by {variety:.3f} of" in each and "Train it" in each for each in said)


def test_the_deviation_is_over_images_at_each_pixel() -> None:
    """Not over the pixels of an image, of which equal ones may have many levels."""
    ramp = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    assert float(deviation(ramp.expand(3, -1, -1, -1))) == 0
    assert float(deviation(torch.cat([ramp, ramp + 6]))) == 3
