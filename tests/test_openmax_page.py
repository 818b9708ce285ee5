"""docs/results.md shows what the comparison of OpenMax's rules has stored."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
STORED: dict[str, Any] = json.loads(
    (ROOT / "benchmarks" / "results" / "openmax-cpu.json").read_text()
)
ROWS = {
    "MSP": ("Softmax (MSP)", ""),
    "MLS": ("MLS", ""),
    "paper eucos": ("OpenMax, printed formula (the default)", "eucos"),
    "paper euclidean": ("OpenMax, printed formula", "euclidean"),
    "osrci eucos": ("OpenMax, `rule: osrci`", "eucos"),
    "osrci euclidean": ("OpenMax, `rule: osrci`", "euclidean"),
    "older eucos": ("OpenMax, lowest logit subtracted (the old rule)", "eucos"),
    "older euclidean": ("OpenMax, lowest logit subtracted (the old default)", "euclidean"),
}


def cell(fractions: Iterable[float]) -> str:
    """Mean and sample standard deviation over splits, percent."""
    values = [100 * each for each in fractions]
    return f"{mean(values):.1f} ± {stdev(values):.1f}" if values else ""


def of(dataset: str) -> list[dict[str, Any]]:
    """The stored rows of a data set, one for each split."""
    return [row for row in STORED["result"] if row["dataset"] == dataset]


def test_the_table_is_what_was_measured() -> None:
    """Every rule on five splits of both data sets, with the commit."""
    lines = [[each.strip() for each in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    for name, heading in ROWS.items():
        cells = [
            cell(row[part][name] for row in of(dataset) if name in row[part])
            for part in ("auroc", "known_rejected")
            for dataset in ("mnist", "cifar10")
        ]
        assert [*heading, *cells] in lines
    assert [len(of(dataset)) for dataset in ("mnist", "cifar10")] == [5, 5]
    accuracies = [cell(row["accuracy"] for row in of(name)) for name in ("mnist", "cifar10")]
    assert f"accuracy {' and '.join(accuracies)}" in PAGE
    assert f"were trained at commit {STORED['commit']}" in PAGE


def test_the_default_is_better_than_the_rule_that_was_here() -> None:
    """On both data sets, by what rests on no unknown image and by AUROC."""
    for dataset in ("mnist", "cifar10"):
        for distance in ("eucos", "euclidean"):
            rows = of(dataset)
            old, new = (
                [
                    mean(row[part][f"{rule} {distance}"] for row in rows)
                    for rule in ("older", "paper")
                ]
                for part in ("auroc", "known_rejected")
            )
            assert old[0] < old[1]
            assert new[0] > new[1]
