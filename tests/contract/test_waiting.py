"""A training step tells the device what to do and waits for nothing: it reads no number back."""

import pytest
import torch
from blobs import TRAINING, VARIANTS, Runs, shortened, trial
from waiting import Waits

from osr_core.execution import Result
from osr_core.methods import METHODS
from osr_core.recipes import Augmentation
from osr_core.stage import Stage
from osr_core.training import Fit

SHORT = shortened(TRAINING, epochs=2, augmentation=Augmentation(crop_padding=1, flip=True))


def test_what_would_wait_is_heard() -> None:
    """Each way to read a number, and each shape that depends on one."""
    numbers = torch.tensor([1.0, 0.0])
    for ask in (
        lambda: numbers[0].item(),
        lambda: float(numbers[0]),
        lambda: bool((numbers > 0).any()),
        numbers.cpu,
        numbers.tolist,
        lambda: numbers[numbers > 0],
        lambda: numbers.nonzero(),
        lambda: torch.equal(numbers, numbers),
        lambda: torch.nn.functional.one_hot(numbers.long()),
        lambda: numbers.to("cpu"),
        lambda: numbers.to(device=torch.device("cpu")),
        lambda: torch.tensor([1.0], device=torch.device("cpu")),
        lambda: numbers.new_tensor([1.0]),
    ):
        with Waits([]) as waits:
            ask()
        assert waits.found != []
    with Waits([]) as waits:
        torch.where(numbers > 0, numbers, -numbers).to(torch.float64).sum()
    assert waits.found == []


class Heard(Runs):
    """Stages that are run once each, with what their epochs have waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: dict[str, list[str]] = {}  # by a stage's id

    def result(self, stage: Stage) -> Result:
        if stage.id not in self.results:
            self.inputs(stage)  # whose epochs are not this stage's
            heard = self.waits[stage.id] = []
            whole = Fit.train_epoch

            def listened_to(fit: Fit, generator: torch.Generator) -> dict[str, float]:
                with Waits(fit.optimizers.values()) as waits:
                    row = whole(fit, generator)
                heard.extend(waits.found)
                return row

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Fit, "train_epoch", listened_to)
                super().result(stage)
        return self.results[stage.id]


@pytest.fixture(scope="module")
def stages(runs: Runs) -> Heard:
    """For as long as the blobs are a dataset."""
    return Heard()


@pytest.mark.parametrize("name", [*METHODS, *VARIANTS])
def test_an_epoch_reads_nothing_but_the_means_of_its_terms(name: str, stages: Heard) -> None:
    """Of every network that a method trains; the means are read when the last step is told."""
    heard: list[str] = []
    for stage in trial(name, SHORT).score.walk():
        if stage.kind.trains:
            stages.result(stage)
            heard.extend(stages.waits[stage.id])
    means = [each for each in heard if " under " in each]
    assert means != []
    assert [each for each in heard if each not in means] == []
