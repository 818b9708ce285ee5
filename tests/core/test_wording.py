"""Amounts, operations and times as people read them."""

import pytest

from osr_core.wording import amount, duration, of_hours, operations


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (12_850, "12,850"),
        (999_400, "999,400"),
        (999_999, "1 million"),
        (395_800_000, "396 million"),
        (3_219_600_000, "3.22 billion"),
        (1.5e16, "15,000 trillion"),
    ],
)
def test_amounts_have_three_digits_and_a_word(number: float, text: str) -> None:
    """3.958e+08 is read as 3.9 by many."""
    assert amount(number) == text


def test_operations_have_their_unit() -> None:
    """Beside a machine's rate, which is told in TFLOP a second."""
    assert [operations(flops) for flops in (7.672e12, 1.689e19)] == ["7.67 TFLOP", "16.9 EFLOP"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (3, "3 s"),
        (9.49, "9.5 s"),
        (9.5, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.9, "1 h 0 min"),
        (4_500_000, "1,250 h 0 min"),
    ],
)
def test_times_read_as_people_say_them(seconds: float, text: str) -> None:
    """At each border of the units."""
    assert duration(seconds) == text


def test_hours_become_what_they_are() -> None:
    """0.003943 hours are 14 s."""
    assert of_hours(0.003943) == "14 s"
