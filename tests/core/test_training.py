"""The training loop: what it keeps, when it stops, what it leaves alone."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batch, Batches
from osr_core.errors import TrainingError
from osr_core.methods.softmax import Softmax
from osr_core.recipes import Training
from osr_core.training import Fit, validate
from tests.plain import NoCheckpoint


def images(num: int, seed: int = 0) -> ImageSet:
    """Noise with labels 0, 1, 0, 1, ...; label 1 is brighter."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 2
    noise = torch.randint(100, (num, 1, 16, 16), generator=generator)
    return ImageSet((noise + 100 * labels[:, None, None, None]).to(torch.uint8), labels)


def fit_of(
    training: Training, *, num: int = 20, held_out: int = 0, cls: type[Softmax] = Softmax
) -> Fit:
    """A small classifier and schedule on two classes of noise."""
    torch.manual_seed(0)
    network = resolve_backbone({"width": 0.05, "dropout": 0.2}, image_size=16, channels=1)
    method = cls(build_backbone(network), 2, cls.Config())
    train = Batches(images(num), batch_size=training.batch_size)
    validation = Batches(images(held_out, seed=1), batch_size=8) if held_out else None
    return Fit(method, train, validation, training, seed=5)


def run(fit: Fit) -> list[dict[str, float]]:
    """The history."""
    return fit.run(NoCheckpoint(), lambda epoch, row: None)


class Scripted(Softmax):
    """Validation accuracy by script, one number per epoch; a loss of NaN in the epoch after."""

    script: tuple[float, ...] = ()

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        epoch = getattr(self, "epoch", 0)
        self.epoch = epoch + 1
        zero = torch.zeros(())
        return {"cross_entropy": zero, "accuracy": zero + self.script[epoch]}


def test_history_has_a_row_per_epoch() -> None:
    """With the terms, the rate, the time and, where images are held out, validation."""
    history = run(fit_of(Training(epochs=3, batch_size=8), held_out=4))
    expected = {"train/cross_entropy", "val/cross_entropy", "val/accuracy", "lr", "wall_s"}
    assert [set(row) for row in history] == [expected] * 3


def test_training_learns() -> None:
    """Brightness tells the two classes apart."""
    fit = fit_of(Training(epochs=10, batch_size=8, lr=0.05), held_out=20)
    history = run(fit)
    assert history[-1]["train/cross_entropy"] < history[0]["train/cross_entropy"]
    assert history[-1]["val/accuracy"] == 1


def test_a_loss_that_is_not_a_number_stops_the_fit() -> None:
    """With the epoch, the term and what to do, instead of a hundred epochs of NaN."""
    fit = fit_of(Training(epochs=3, batch_size=8, lr=1e20))
    with pytest.raises(TrainingError, match=r"epoch \d of 3: cross_entropy was .*lr=1e\+20"):
        run(fit)


def test_a_validation_that_is_not_a_number_stops_the_fit() -> None:
    """Else NaN would be kept as the best value, since nothing is smaller."""

    class Broken(Scripted):
        script = (math.nan,)

    fit = fit_of(Training(epochs=1, batch_size=8, validation=0.5), held_out=4, cls=Broken)
    with pytest.raises(TrainingError, match="val/accuracy=nan"):
        run(fit)


@pytest.mark.parametrize(
    ("script", "best"), [((0.5, 0.9, 0.8), 2), ((0.9, 0.9, 0.8), 1), ((0.1, 0.2, 0.3), 3)]
)
def test_the_best_epoch_is_kept(script: tuple[float, ...], best: int) -> None:
    """Of equal ones the first, as in the closed-set training of CAC's authors (`acc > best`)."""

    class Graded(Scripted):
        pass

    Graded.script = script
    training = Training(epochs=3, batch_size=8, validation=0.5, keep="accuracy")
    fit = fit_of(training, held_out=4, cls=Graded)
    weights: list[Mapping[str, Tensor]] = []
    copy = lambda epoch, row: weights.append(  # noqa: E731
        {name: value.clone() for name, value in fit.method.state_dict().items()}
    )
    fit.run(NoCheckpoint(), copy)
    kept = fit.method.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in weights[best - 1].items())


def test_a_loss_term_is_kept_at_its_lowest() -> None:
    """CAC keeps its lowest anchor term, of equal ones the last (`anchor_loss <= best`)."""

    class Falling(Scripted):
        script = (0.5, 0.2, 0.2)
        validation = loss_by_script

    training = Training(epochs=3, batch_size=8, validation=0.5, keep="cross_entropy")
    fit = fit_of(training, held_out=4, cls=Falling)
    weights: list[Tensor] = []
    fit.run(NoCheckpoint(), lambda epoch, row: weights.append(fit.method.head.weight.clone()))
    assert fit.progress.best == pytest.approx(0.2)
    assert torch.equal(fit.method.head.weight, weights[2])


def loss_by_script(self: Scripted, batch: Batch) -> dict[str, Tensor]:
    """The script's numbers as those of the loss."""
    values = Scripted.validation(self, batch)
    return {**values, "cross_entropy": values["accuracy"]}


RESTARTED = Training(
    epochs=4,
    batch_size=8,
    schedule="steps",
    drops=(0.5,),
    restart_at_drops=True,
    validation=0.5,
    keep="accuracy",
)


def test_the_best_accuracy_is_carried_over_a_restart() -> None:
    """In train_closedSet.py of CAC's authors a second run overwrites only what it beats."""

    class Graded(Scripted):
        script = (0.9, 0.1, 0.3, 0.2)

    fit = fit_of(RESTARTED, held_out=4, cls=Graded)
    weights: list[Tensor] = []
    fit.run(NoCheckpoint(), lambda epoch, row: weights.append(fit.method.head.weight.clone()))
    assert fit.progress.best == pytest.approx(-0.9)
    assert torch.equal(fit.method.head.weight, weights[0])


def test_a_drop_with_restart_goes_on_from_the_kept_weights() -> None:
    """With a fresh optimiser, and choosing among the epochs after it, as CAC's train_cacOpenset."""

    class Graded(Scripted):
        script = (0.1, 0.9, 0.7, 0.8)
        validation = loss_by_script

    fit = fit_of(replace(RESTARTED, keep="cross_entropy"), held_out=4, cls=Graded)
    first = fit.optimizers["main"]
    starts: list[Tensor] = []
    original = fit.restart

    def watched() -> None:
        original()
        starts.append(fit.method.head.weight.clone())
        assert not fit.optimizers["main"].state

    fit.restart = watched  # type: ignore[method-assign]
    after: list[Tensor] = []
    fit.run(NoCheckpoint(), lambda epoch, row: after.append(fit.method.head.weight.clone()))
    assert fit.optimizers["main"] is not first
    assert torch.equal(starts[0], after[0])
    assert fit.progress.best == pytest.approx(0.7)
    assert torch.equal(fit.method.head.weight, after[2])


def test_keep_without_validation_is_refused() -> None:
    """There would be nothing to choose by."""
    with pytest.raises(TrainingError, match="needs validation > 0"):
        fit_of(Training(keep="accuracy"))


def test_keep_of_an_unknown_term_is_refused() -> None:
    """Before the first epoch, not after it."""
    with pytest.raises(TrainingError, match="There is: accuracy, cross_entropy, last"):
        fit_of(Training(keep="anchor", validation=0.5), held_out=4)


def test_a_lone_last_image_is_left_out() -> None:
    """17 images in batches of 8: batch norm cannot normalise one value per channel."""
    fit = fit_of(Training(epochs=1, batch_size=8), num=17)
    sizes: list[int] = []
    step = fit.method.train_step
    fit.method.train_step = lambda batch, opt: (  # type: ignore[method-assign]
        sizes.append(len(batch.label)) or step(batch, opt)
    )
    run(fit)
    assert sizes == [8, 8]


def test_training_on_one_image_is_refused() -> None:
    """There would be no batch at all."""
    with pytest.raises(TrainingError, match="at least 2 images"):
        fit_of(Training(), num=1)


def test_validation_changes_nothing() -> None:
    """Neither batch statistics nor weights, and its means are over images, not batches."""
    fit = fit_of(Training(batch_size=8))
    before = {name: value.clone() for name, value in fit.method.state_dict().items()}
    held_out = images(10, seed=2)
    whole = validate(fit.method, Batches(held_out, batch_size=8))
    assert all(torch.equal(value, before[name]) for name, value in fit.method.state_dict().items())
    fit.method.eval()
    with torch.no_grad():
        logits = fit.method(held_out.images.float() / 255).logits
    loss = torch.nn.functional.cross_entropy(logits, held_out.labels)
    assert whole["val/cross_entropy"] == pytest.approx(float(loss), rel=1e-5)


def test_global_generators_are_left_as_they_were() -> None:
    """A fit inside a longer program must not move its random numbers."""
    fit = fit_of(Training(epochs=2, batch_size=8))
    before = torch.get_rng_state()
    run(fit)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_matter_and_global_state_does_not() -> None:
    """Order and dropout come from the fit's identity."""

    def losses(seed: int, noise: int) -> list[float]:
        fit = fit_of(Training(epochs=2, batch_size=8))
        fit.seed = seed
        torch.manual_seed(noise)
        return [row["train/cross_entropy"] for row in run(fit)]

    assert losses(5, 0) == losses(5, 1)
    assert losses(5, 0) != losses(6, 0)


def test_each_epoch_has_an_order_of_its_own() -> None:
    """And every image once."""
    fit = fit_of(Training(epochs=3, batch_size=8))
    orders: list[list[int]] = [[]]
    step = fit.method.train_step

    def watched(batch: Batch, optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        orders[-1] += batch.index.tolist()
        return step(batch, optimizers)

    fit.method.train_step = watched  # type: ignore[method-assign]
    fit.run(NoCheckpoint(), lambda epoch, row: orders.append([]))
    assert all(sorted(order) == list(range(20)) for order in orders[:3])
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_the_rate_reaches_the_optimiser() -> None:
    """The history's lr is what the optimiser used."""
    fit = fit_of(Training(epochs=3, batch_size=8, lr=0.2, schedule="steps", drops=(0.4,)))
    used: list[float] = []
    history = fit.run(
        NoCheckpoint(),
        lambda epoch, row: used.append(fit.optimizers["main"].param_groups[0]["lr"]),
    )
    assert used == [row["lr"] for row in history] == pytest.approx([0.2, 0.02, 0.02])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_state_round_trip(optimizer: str) -> None:
    """Momentum, Adam's moments and step counts, history and kept weights survive as they are."""
    training = Training(
        epochs=2, batch_size=8, optimizer=optimizer, lr=0.01, validation=0.5, keep="accuracy"
    )
    fit, other = (fit_of(training, held_out=4) for _ in range(2))
    run(fit)
    content = fit.state()
    other.load_state(content)
    assert other.state() == content
    assert other.progress == fit.progress
    mine, theirs = fit.optimizers["main"].state_dict(), other.optimizers["main"].state_dict()
    for index, values in mine["state"].items():
        for name, value in values.items():
            assert torch.equal(
                torch.as_tensor(theirs["state"][index][name]), torch.as_tensor(value)
            )
