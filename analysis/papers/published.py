"""What the papers print, beside which ours stand. The numbers are in tables.json.

CAC   "Class Anchor Clustering" (Miller et al., arXiv 2020; WACV 2021 prints other numbers): AUROC
      in its Table 2, accuracy in its Table 3. Its "Cross-Entropy" row is our Softmax; CIFAR+10 and
      CIFAR+50 share one accuracy.
PMAL  "Open Set Recognition via Robust Prototype Mining" (Lu et al., AAAI 2022): both in its
      Table 1. PMAL and RPL have a row for each backbone.

Two slips of PMAL's Table 1 are put right and say so in `note`: PROSER's AUROC of 94.3 belongs to
SVHN, not to MNIST, and the row ARPL holds the values of ARPL+CS, so that it stands beside both.
A third cannot be: it prints two accuracies for CIFAR+10 and CIFAR+50, which are one task.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

PAPERS = {
    "CAC": "Class Anchor Clustering, arXiv 2020, Tables 2 and 3",
    "PMAL": "Robust Prototype Mining, AAAI 2022, Table 1",
}
DATASETS = {
    "mnist": "MNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR10",
    "cifar+10": "CIFAR+10",
    "cifar+50": "CIFAR+50",
    "tinyimagenet": "TinyImageNet",
}
PMAL_BACKBONES = {"osrci": "OSCRI", "wrn": "WRN"}  # our name: the paper's, typing error included


@dataclass(frozen=True)
class Published:
    """One printed value."""

    paper: str  # key of PAPERS
    table: str  # "Table 2"
    value_percent: float
    starred: bool = False  # not the method's own paper's value, but re-run by this paper's authors
    note: str = ""  # what was wrong with the printed value


def published(
    title: str, dataset: str, metric: str, *, backbone: str | None = None
) -> list[Published]:
    """What the papers print for a method by its title; empty where they print nothing.

    `backbone` decides between the rows of PMAL and RPL, which have none without it.
    """
    column = DATASETS.get(dataset)
    if column is None:
        return []
    return [*_cac(title, column, metric), *_pmal(title, column, metric, backbone)]


def _cac(title: str, column: str, metric: str) -> list[Published]:
    tables = paper_tables()["cac"]
    if metric == "auroc":
        table, row = "Table 2", tables["table2"]["rows"].get(title, {}).get("auroc", {})
    elif metric == "accuracy":
        name = {"Softmax": "Cross-Entropy"}.get(title, title)
        table, row = "Table 3", tables["table3"]["rows"].get(name, {})
        column = "CIFAR+10/+50" if column.startswith("CIFAR+") else column
    else:
        return []
    fraction = row.get(column)
    return [] if fraction is None else [Published("CAC", table, round(100 * fraction, 1))]


def _pmal(title: str, column: str, metric: str, backbone: str | None) -> list[Published]:
    table = paper_tables()["pmal"]["table1"]
    key = {"accuracy": "acc", "auroc": "auroc"}.get(metric)
    row = {"Softmax": "SoftMax", "ARPL+CS": "ARPL"}.get(title, title)
    if title in ("PMAL", "RPL"):
        row = f"{title}-{PMAL_BACKBONES.get(backbone or '')}"
    if key is None or row not in table["rows"]:
        return []
    printed = table["rows"][row][key][column]
    value, note = printed["v"], ""
    for correction in table["corrections"]:
        if (correction["row"], correction["column"]) == (row, key):
            corrected = correction.get("corrected", {column: value})
            if column in corrected:
                value, note = corrected[column], correction["issue"]
    return [] if value is None else [Published("PMAL", "Table 1", value, printed["star"], note)]


@cache
def paper_tables() -> dict[str, Any]:
    """Every table of the two papers, as transcribed."""
    text = resources.files("analysis.papers").joinpath("tables.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables
