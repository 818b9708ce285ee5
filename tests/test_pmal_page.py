"""docs/pmal.md and docs/results.md show what the benchmarks of PMAL have stored."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

from osr_core.methods.pmal.config import PMALConfig
from osr_core.methods.pmal.topology import MODES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "pmal.md").read_text(encoding="utf-8")


def stored(name: str) -> list[dict[str, Any]]:
    """The rows that a benchmark has left."""
    content = json.loads((ROOT / "benchmarks" / "results" / f"{name}-cpu.json").read_text())
    rows: list[dict[str, Any]] = content["result"]
    return rows


STORED = stored("robustness")


def line(row: dict[str, Any]) -> str:
    """A row of the page's table."""
    correct = "-" if row["correct"] is None else f"{row['correct']:.2f}"
    shares = [f"{100 * row[name]:.0f}" for name in ("top_quarter_shared", "prototypes_shared")]
    candidates = " ".join(f"{100 * share:.0f}" for share in row["candidates"].values())
    cells = [row["dataset"], f"`{row['mode']}`", f"{row['confidence']:.2f}", correct]
    cells += [f"{row['agreement']:.2f}", *shares, f"{row['equal_norms']:.2f}", candidates]
    test = row["test"]
    cells += [f"{100 * test[name]:.1f}" for name in ("auroc_DR", "auroc_PR")]
    return f"| {' | '.join(cells)} |"


def test_the_table_is_what_was_measured() -> None:
    """Every mode on five tasks; run the benchmark and paste its rows after a change."""
    assert len(STORED) == 5 * len(MODES)
    assert [each for each in map(line, STORED) if each not in PAGE] == []


def test_the_rejections_over_epochs_are_what_was_measured() -> None:
    """In docs/results.md, in percent."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for row in stored("rejection"):
        names = ("accuracy", "DR", "PR", "largest_logit")
        numbers = [f"{100 * row[name]:.1f}" for name in names]
        cells = [str(row["epoch"]), "yes" if row["randaugment"] else "no", *numbers]
        assert f"| {' | '.join(cells)} |" in page


def test_the_default_leads_in_what_it_was_chosen_by() -> None:
    """On average over the tasks that measure it; none of these rests on a test image."""
    for name in ("confidence", "correct", "top_quarter_shared", "prototypes_shared"):
        averages = {
            mode: mean(row[name] for row in STORED if row["mode"] == mode and row[name] is not None)
            for mode in MODES
        }
        assert max(averages, key=averages.__getitem__) == PMALConfig().robustness, name
