"""Runs whose results are the papers' own values, read from tables.json without our layouts.

Each function gives (dataset, title, backbone, settings, {metric: fraction}) for every value of a
table; `export_of` turns them into an export of two splits that lie symmetrically about the value.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from handmade import run_of

from analysis.exports.schema import RUNS, Plan, PlannedTrial, canonical_json, runs_schema

TABLES = json.loads((Path(__file__).parents[2] / "analysis" / "papers" / "tables.json").read_text())
KEYS = {
    "MNIST": "mnist",
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "CIFAR+10": "cifar+10",
    "CIFAR+50": "cifar+50",
    "TinyImageNet": "tinyimagenet",
    "ImageNet-LT": "imagenet_lt",
    "ImageNet-100": "imagenet100",
    "ImageNet-200": "imagenet200",
}
PMAL = {"members": 2, "prototypes": 10, "epsilon": 0.7, "margin": 0.5, "prototype_weight": 1.0}
PMAL |= {"quality": "robustness", "diversity": "nearest_better", "distance": "attention"}
CAC = {"alpha": 10.0, "anchor_weight": 0.1, "tuplet": True, "anchor": True}
SPREAD = 0.001  # half of the distance between the two splits


def cac_values():
    """CAC, Tables 2 and 3, in one sweep; a missing accuracy is 0.5."""
    accuracy = TABLES["cac"]["table3"]["rows"]
    for title, row in TABLES["cac"]["table2"]["rows"].items():
        for column, value in row["auroc"].items():
            if value is not None:
                name = {"Softmax": "Cross-Entropy"}.get(title, title)
                shared = "CIFAR+10/+50" if "+" in column else column
                values = {"auroc": value, "accuracy": accuracy.get(name, {}).get(shared, 0.5)}
                yield KEYS[column], title, "osrci", CAC if title == "CAC" else {}, values


def pmal_values(table):
    """PMAL, Tables 1 and 2."""
    for row, metrics in TABLES["pmal"][table]["rows"].items():
        name, _, network = row.partition("-")
        title = {"SoftMax": "Softmax", "ARPL": "ARPL+CS"}.get(name, name)
        for column in metrics["auroc"]:
            values = {
                ours: metrics[theirs][column]["v"] / 100
                for theirs, ours in (("acc", "accuracy"), ("auroc", "auroc"))
                if metrics[theirs][column]["v"] is not None
            }
            backbone = {"WRN": "wrn", "OSCRI": "osrci"}.get(network, "osrci")
            yield KEYS[column], title, backbone, PMAL if name == "PMAL" else {}, values


def corrected_values():
    """PMAL, Table 1 with PROSER's 94.3 where it belongs."""
    for dataset, title, backbone, settings, values in pmal_values("table1"):
        if (title, dataset) == ("PROSER", "mnist"):
            continue
        if (title, dataset) == ("PROSER", "svhn"):
            values = {**values, "auroc": 0.943}
        yield dataset, title, backbone, settings, values


def pmal3_values():
    """The modules."""
    for row in TABLES["pmal"]["table3"]["rows"].values():
        quality, spread = ("robustness", "nearest_better")
        if not row["high_quality"]:
            quality, spread = ("none", "k_centres")
        switches = {"quality": quality, "diversity": spread if row["diversity"] else "none"}
        switches["distance"] = "attention" if row["point_to_set"] else "nearest"
        yield "tinyimagenet", "PMAL", "osrci", PMAL | switches, {"auroc": row["auroc"] / 100}


def pmal4_values(alternatives):
    """The alternatives, by the settings that each one stands for."""
    for name, row in TABLES["pmal"]["table4"]["rows"].items():
        values = {"accuracy": row["acc"] / 100, "auroc": row["auroc"] / 100}
        yield "tinyimagenet", "PMAL", "osrci", PMAL | alternatives[name], values


def pmal5_values():
    """One setting at a time; the defaults are in each of the five lists."""
    swept = {"T": "prototypes", "epsilon": "epsilon", "U": "members", "delta": "margin"}
    table = TABLES["pmal"]["table5"]
    for symbol, name in swept.items():
        for value, auroc in table[symbol].items():
            number = float(value)
            settings = PMAL | {name: int(number) if symbol in "TU" else number}
            if settings != PMAL or symbol == "T":
                yield "tinyimagenet", "PMAL", "osrci", settings, {"auroc": auroc / 100}
    for value, auroc in TABLES["pmal"]["text_sweeps"]["lambda_p"].items():
        if value != "1.0":
            settings = PMAL | {"prototype_weight": float(value)}
            yield "tinyimagenet", "PMAL", "osrci", settings, {"auroc": auroc / 100}


def export_of(folder, sweep, values, facts=lambda dataset, title: {}):
    """Write runs.parquet of a sweep under `folder`."""
    trials, runs = [], []
    for number, (dataset, title, backbone, chosen, metrics) in enumerate(values):
        settings = chosen if backbone == "osrci" else {**chosen, "backbone.name": backbone}
        for split in (0, 1):
            trial = PlannedTrial(
                f"{number}-{split}", title.lower(), title, dataset, split, 0, settings, backbone
            )
            moved = {name: value + SPREAD * (2 * split - 1) for name, value in metrics.items()}
            run = run_of(trial, **moved) | {"backbone": canonical_json({"name": backbone})}
            trials.append(trial)
            runs.append(run | facts(dataset, title))
    plan = Plan(sweep, "cac", "published", {}, {}, "1a2b3c4", tuple(trials))
    (folder / sweep).mkdir(parents=True)
    table = pa.Table.from_pylist(runs, schema=runs_schema(plan))
    pq.write_table(table, folder / sweep / RUNS)
