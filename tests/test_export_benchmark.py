"""The benchmark of the export makes a sweep up, in the form that the export reads today."""

import pytest

from benchmarks import export


def test_a_made_up_sweep_is_exported_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few fits in place of ten thousand: `measure` itself counts what was exported."""
    monkeypatch.setattr(export, "FITS", 4)
    monkeypatch.setattr(export, "EPOCHS", 3)
    monkeypatch.setattr(export, "SAMPLE", 2)
    assert export.measure()["history_rows"] == 4 * 3 * len(export.FIT_METRICS)
