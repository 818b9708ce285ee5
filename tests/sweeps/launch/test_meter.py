"""A launch ends when it has spent what its spec allows."""

from pathlib import Path

import pytest

from sweeps.launch.meter import Meter
from sweeps.planning.resources import Budget
from sweeps.running import searcher
from sweeps.store.leases import Fence
from tests.sweeps.launch import test_caution
from tests.sweeps.launch.test_caution import Played


class Clock:
    """Hours that a test sets."""

    hours = 0.0

    def __call__(self) -> float:
        return 3600 * self.hours


def test_gpu_hours_are_those_of_all_attempts_and_of_what_runs():
    """Half a GPU for two hours, tried again, and two GPUs for one hour so far: 1 + 1 + 2."""
    clock = Clock()
    meter = Meter(Budget(gpu_hours=4.0), clock)
    for _ in range(2):
        meter.began("a", 0.5)
        clock.hours += 2
        meter.ended("a")
    assert meter.why_spent() is None
    meter.began("b", 2.0)
    clock.hours += 0.5
    assert meter.gpu_hours == pytest.approx(3.0)
    assert meter.why_spent() is None
    clock.hours += 0.5
    assert meter.why_spent() == "4 of 4 GPU hours"
    meter.ended("b")
    meter.ended("b")  # twice is once
    assert meter.gpu_hours == pytest.approx(4.0)


def test_hours_and_trials_are_those_of_the_launch():
    """Whatever runs."""
    clock = Clock()
    meter = Meter(Budget(wall_hours=1.5, trials=3), clock)
    clock.hours, meter.trials = 1.4, 2
    assert meter.why_spent() is None
    meter.trials = 3
    assert meter.why_spent() == "3 of 3 trials"
    clock.hours = 1.6
    assert meter.why_spent() == "1.6 of 1.5 hours"
    assert Meter(Budget(), clock).why_spent() is None


def test_nothing_begins_once_the_budget_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Workers of what runs are told, and save."""
    monkeypatch.setattr(searcher, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(test_caution, "SPEC", test_caution.SPEC | {"budget": {"trials": 2}})
    played = Played(tmp_path, lambda stage: None).run()
    assert sum(name.startswith("score") for name in played.ran) == 2
    assert played.launch.budget_spent == "2 of 2 trials"
    assert played.store.orders.read(Fence("small", 1)).budget_spent
    assert "the budget is spent, 2 of 2 trials" in played.text.getvalue()
