"""Schedules: how the learning rate goes from epoch to epoch."""

import pytest

from osr_core.recipes import Training
from osr_core.training import drop_epochs, lr_factor


def factors(training: Training) -> list[float]:
    """The learning rate's factor of each epoch."""
    return [lr_factor(training, epoch) for epoch in range(training.epochs)]


def test_cosine_falls_from_one_to_a_thousandth() -> None:
    """By hand at the start, the middle and just before the end of 100 epochs."""
    values = factors(Training(epochs=100))
    assert values[0] == 1
    assert values[50] == pytest.approx((1 + 1e-3) / 2)
    assert 1e-3 < values[99] < 2e-3
    assert values == sorted(values, reverse=True)


def test_cosine_cycles_start_again_at_one() -> None:
    """Vaze: 600 epochs in three cycles, ten epochs of warm-up in the first one only."""
    values = factors(Training(epochs=600, cycles=3, warmup_epochs=10))
    assert values[:10] == pytest.approx([(epoch + 1) / 11 for epoch in range(10)])
    assert values[200] == values[400] == 1
    assert values[200:400] == values[400:600]
    assert values[10:200] == values[210:400]


def test_a_shortened_schedule_is_not_all_warm_up() -> None:
    """Ten epochs of warm-up in a fit of 20 become two, in one of 5 none."""
    values = factors(Training(epochs=20, warmup_epochs=10))
    assert values[:2] == pytest.approx([1 / 3, 2 / 3])
    assert values[2] == max(values) > 0.95
    assert factors(Training(epochs=5, warmup_epochs=10)) == factors(Training(epochs=5))


def test_steps_fall_at_fractions_of_the_epochs() -> None:
    """PMAL: every 120 of 600 epochs; the same shape in 10."""
    drops = (0.2, 0.4, 0.6, 0.8)
    training = Training(epochs=600, schedule="steps", drops=drops)
    assert drop_epochs(training) == [120, 240, 360, 480]
    values = factors(training)
    assert [values[epoch] for epoch in (0, 119, 120, 479, 599)] == pytest.approx(
        [1, 1, 0.1, 1e-3, 1e-4]
    )
    short = Training(epochs=10, schedule="steps", drops=drops, drop_factor=0.5)
    assert factors(short) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
