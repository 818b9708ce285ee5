"""What rungs save, and whether they lose the best: searches replayed on `search_curves`.

The settings of the file are tried in 40 random orders, without pruning, with pruning over splits,
and with rungs. Told are the regret of the choice in points of AUROC, how often it was the best of
all, and the share of the epochs that was trained.
"""

import json
import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.choices.search_curves import EPOCHS, FILE, SPLITS, settings, subject_of
from benchmarks.choices.search_grid import RULE
from sweeps.planning.plan import PlannedTrial
from sweeps.planning.rules import measures
from sweeps.search.budget import Budget
from sweeps.search.study import Study
from sweeps.store.store import Store

ORDERS = 40
WAYS: dict[str, dict[str, Any]] = {
    "none": {"prune": "none"},
    "over splits": {},
    "rungs 2 and 4": {"rungs": [2, 4]},
    "rung 4": {"rungs": [4]},
}
Curves = Sequence[tuple[dict[str, float], Mapping[str, list[float]]]]


def replayed(curves: Curves, search: Mapping[str, Any], order: int) -> tuple[float, float]:
    """The average of the choice, and the share of all epochs that was trained."""
    tried = random.Random(order).sample(curves, len(curves))
    by_rate = {params["training.lr"]: curve for params, curve in curves}

    def answer(trial: PlannedTrial) -> dict[str, float]:
        curve = by_rate[trial.hyperparameters["training.lr"]]
        rungs = [end for end in trial.ends[-1:] if end is not None]
        (measure,) = measures([RULE], rungs)[0]
        return {"validation/auroc": curve[measure][trial.split.index]}

    asked = {"enqueue": [params for params, _ in tried], "candidates": len(tried), "lag": 4}
    with tempfile.TemporaryDirectory() as folder:
        store, trained = Store(folder), 0.0
        study = Study(subject_of({**asked, **search}), store.memories, Budget(store), list)
        while trials := study.advance():
            for trial in trials:
                study.note(trial.id, answer(trial))
                trained += trial.score.inputs["model"].effort
    chosen = by_rate[study.chosen[0].params["training.lr"]]
    return statistics.fmean(chosen[RULE]), trained / (EPOCHS * SPLITS * len(curves))


def measure() -> list[dict[str, Any]]:
    """A row for each way of pruning."""
    curves: Curves = list(zip(settings(), json.loads(FILE.read_text()), strict=True))
    best = max(statistics.fmean(curve[RULE]) for _, curve in curves)
    rows = []
    for name, search in WAYS.items():
        played = [replayed(curves, search, order) for order in range(ORDERS)]
        regret = [100 * (best - found) for found, _ in played]
        row = {
            "prune": name,
            "regret_points": round(statistics.fmean(regret), 3),
            "best_kept": sum(each < 1e-9 for each in regret),
            "of_orders": ORDERS,
            "share_of_epochs": round(statistics.fmean(share for _, share in played), 3),
        }
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
        rows.append(row)
    return rows
