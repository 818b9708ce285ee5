"""A small sweep made by hand, whose tables are stored beside this file.

After a change that is meant to move them, remake them and read the difference:

    python tests/analysis/handmade.py
"""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.schema import (
    METRICS,
    RUNS,
    SCORED,
    Plan,
    PlannedTrial,
    canonical_json,
    runs_schema,
)
from analysis.tables.render import render
from analysis.tables.sweep_sheet import printable
from analysis.tables.sweep_table import table

GOLDEN = {
    name: Path(__file__).parent / "golden" / f"table.{suffix}"
    for name, suffix in {"markdown": "md", "latex": "tex", "csv": "csv"}.items()
}


HELD_OUT = "held_out_classes_auroc (AUROC of held-out images), best of 8 candidates"
BY_ORACLE = "oracle_auroc (ORACLE: AUROC on the test images), best of 8 candidates"


def planned_trial(title, *, dataset="svhn", split=0, seed=0, selection="none", **hyperparameters):
    """A planned trial whose id says what it is."""
    settings = "".join(f"-{name}={value}" for name, value in hyperparameters.items())
    return PlannedTrial(
        trial_id=f"{title}{settings}-{dataset}-{split}-{seed}".lower(),
        method=title.lower(),
        title=title,
        dataset=dataset,
        split=split,
        seed=seed,
        hyperparameters=hyperparameters,
        backbone="osrci",
        selection=selection,
    )


def plan_of(trials, protocol="cac", sweep="hand_made", data=None, classes=None, **changes):
    """A plan of these trials."""
    return Plan(
        sweep=sweep,
        protocol=protocol,
        recipe="common",
        changes=changes,
        altered={},
        commit="1a2b3c4",
        trials=tuple(trials),
        data=data or {},
        classes=classes or {},
    )


def run_of(trial, **metrics):
    """The row of a finished trial; a metric that is not given is 0.5."""
    return {
        **dict.fromkeys(METRICS, 0.5),
        **metrics,
        "trial_id": trial.trial_id,
        "sweep": "hand_made",
        "method": trial.method,
        "title": trial.title,
        "hyperparameters": canonical_json(trial.hyperparameters),
        "recipe": "common",
        "backbone": canonical_json({"name": "osrci"}),
        "training": canonical_json({"epochs": 1}),
        "protocol": "cac",
        "dataset": trial.dataset,
        "split": trial.split,
        "seed": trial.seed,
        "num_known": 6,
        "num_unknown": 4,
        "openness": 1 - (12 / 16) ** 0.5,
        "selection": trial.selection,
        "commit": "1a2b3c4",
        "made_on": None,
        "num_parameters": None,
        "num_additional_parameters": None,
        **dict.fromkeys(SCORED),
    }


def runs_table(plan, runs):
    """The content of runs.parquet."""
    return pa.Table.from_pylist(runs, schema=runs_schema(plan))


def write_export(folder, trials, runs, **about):
    """A folder that `table` reads; gives it. `about` are the plan's protocol and changes."""
    plan = plan_of(trials, **about)
    pq.write_table(runs_table(plan, runs), folder / RUNS)
    return folder


def small_sweep(folder):
    """Two datasets, three splits; a tie for second best, a row in progress, a row not begun."""
    auroc = {
        "Softmax": (0.901, 0.909, 0.905),
        "CAC (alpha=5)": (0.93, 0.95, 0.94),
        "CAC (alpha=10)": (0.94, 0.97, 0.955),
        "ARPL": (0.94, 0.94, 0.94),
        "PMAL": (0.99, 0.97),
        "PROSER": (),
    }
    trials, runs = [], []
    for dataset in ("svhn", "digits"):
        for split in range(3):
            row = [
                planned_trial("Softmax", dataset=dataset, split=split, label_smoothing=0.0),
                planned_trial("CAC", dataset=dataset, split=split, alpha=5, anchor_weight=0.1),
                planned_trial("CAC", dataset=dataset, split=split, alpha=10, anchor_weight=0.1),
                planned_trial("ARPL", dataset=dataset, split=split),
                planned_trial("PMAL", dataset=dataset, split=split),
                planned_trial("PROSER", dataset=dataset, split=split),
            ]
            trials += row
            runs += [
                run_of(
                    trial,
                    auroc=values[split],
                    accuracy=0.96 + split / 100,
                    oscr=values[split] * 0.96,
                )
                for trial, values in zip(row, auroc.values(), strict=True)
                if split < len(values) and dataset == "svhn"
            ]
    return write_export(folder, trials, runs)


def text_of(made, format="markdown"):
    """A sweep's table as it is printed."""
    return render(printable(made), format)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        model = table(small_sweep(Path(made)))
    for name, path in GOLDEN.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(model, name), encoding="utf-8")
