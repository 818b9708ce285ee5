"""docs/pmal.md and docs/results.md show what the benchmarks of PMAL have stored."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.choices.robustness import CRITERIA
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
    shares.append(by_chance(row))
    candidates = " ".join(f"{100 * share:.0f}" for share in row["candidates"].values())
    cells = [row["dataset"], f"`{row['mode']}`", f"{row['confidence']:.2f}", correct]
    cells += [f"{row['agreement']:.2f}", *shares, f"{row['equal_norms']:.2f}", candidates]
    test = row["test"]
    cells += [f"{100 * test[name]:.1f}" for name in ("auroc_DR", "auroc_PR")]
    return f"| {' | '.join(cells)} |"


def by_chance(row: dict[str, Any]) -> str:
    """Percent of ten prototypes shared at most, were they drawn from the candidates at 0.7: that
    is, if both pairs had the same ones; nothing is drawn from ten candidates or fewer.
    """
    num_candidates = row["candidates"]["0.7"] * row["images"] / row["classes"]
    return "-" if num_candidates <= 10 else f"{100 * 10 / num_candidates:.1f}"


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


def test_comparisons_of_equal_pools_are_shown_once_measured() -> None:
    """The stored run may be older than these measurements; a newer one must reach the page."""
    for row in STORED:
        if "shared_of_half" in row:
            half = 100 * 20 * row["classes"] / row["images"]
            shown = f"{100 * row['shared_of_half']:.0f} | {half:.1f}"
            assert f"| {row['dataset']} | `{row['mode']}` | {shown} |" in PAGE


def test_what_the_default_was_chosen_by() -> None:
    """It leads in four of five criteria, on average over the tasks that measure them, and not in
    the fifth, as the page says; none of them rests on a test image.
    """
    leaders = {}
    for name in CRITERIA:
        averages = {
            mode: mean(row[name] for row in STORED if row["mode"] == mode and row[name] is not None)
            for mode in MODES
        }
        leaders[name] = max(averages, key=averages.__getitem__)
    default = PMALConfig().robustness
    assert leaders == {**dict.fromkeys(CRITERIA, default), "agreement": "row_correlation"}
    assert all(word in PAGE for word in ("one seed per task", "the choice is weak"))
