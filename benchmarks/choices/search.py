"""What a search is worth: how near it comes to the best of a grid, at a quarter of the grid's fits.

Searches are replayed on the stored results of `search_grid`: a candidate finds what the nearest
point of the grid has found. Each sampler, with and without pruning, with 20 seeds. Then how often
pruning drops the best: random quarters of the grid are tried in 100 orders. And what asking for a
candidate costs with 1,000 and 10,000 of them known.
"""

import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from scipy.stats import t

from benchmarks.choices.search_grid import FILE, RATES, RULE, WEIGHTS, subject_of
from sweeps.planning.plan import PlannedTrial
from sweeps.search.budget import Budget
from sweeps.search.candidate import Candidate, State
from sweeps.search.sampling import Sampling
from sweeps.search.study import Study
from sweeps.store.store import Store

SEEDS, SPLITS, ORDERS = 20, 5, 100
KNOWN = (1000, 10_000)
ASKED = 40  # times, of which the 95th percentile is told
SAMPLERS, PRUNES = ("tpe", "random", "qmc"), ("paired", "none")
Grid = Mapping[str, list[float]]


def nearest(values: list[float], value: float) -> float:
    """The point of an axis that is nearest on a log scale."""
    return min(values, key=lambda each: abs(math.log(each / value)))


def point_of(settings: Mapping[str, Any]) -> str:
    """The point of the grid that is nearest to a candidate."""
    weight = nearest(WEIGHTS, settings["anchor_weight"])
    return f"{weight} {nearest(RATES, settings['training.lr'])}"


def replayed(grid: Grid, search: dict[str, Any]) -> tuple[float, int]:
    """The average that the choice has in the grid, and how many fits that took."""

    def answer(trial: PlannedTrial) -> dict[str, float]:
        return {"validation/auroc": grid[point_of(trial.hyperparameters)][trial.split.index]}

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        study = Study(subject_of(search), store.memories, Budget(store), list)
        while trials := study.advance():
            for trial in trials:
                study.note(trial.id, answer(trial))
        used = sum(candidate.steps_done for candidate in study.candidates)
        return statistics.fmean(grid[point_of(study.chosen[0].params)]), used


def worth(grid: Grid, sampler: str, prune: str) -> dict[str, Any]:
    """Regret in points of AUROC and the share of the grid's fits: mean and 95 % interval."""
    best = max(statistics.fmean(numbers) for numbers in grid.values())
    search = {"sampler": sampler, "prune": prune, "candidates": len(grid) // 4}
    played = [replayed(grid, {**search, "seed": seed}) for seed in range(SEEDS)]
    regret = [100 * (best - found) for found, _ in played]
    half = t.ppf(0.975, SEEDS - 1) * statistics.stdev(regret) / math.sqrt(SEEDS)
    return {
        "what": f"{sampler}, prune {prune}",
        "regret_points": round(statistics.fmean(regret), 3),
        "interval_95": round(float(half), 3),
        "within_0.2": sum(each <= 0.2 for each in regret),
        "of_seeds": SEEDS,
        "share_of_fits": round(statistics.fmean(n for _, n in played) / SPLITS / len(grid), 3),
    }


def error_rate(grid: Grid) -> dict[str, Any]:
    """How often the pruning rule drops the best of a random quarter, and what that costs."""
    lost, shares = [], []
    for order in range(ORDERS):
        tried = random.Random(order).sample(sorted(grid), len(grid) // 4)
        points = [
            dict(zip(("anchor_weight", "training.lr"), map(float, p.split()), strict=True))
            for p in tried
        ]
        found, fits = replayed(grid, {"enqueue": points, "candidates": len(points)})
        lost.append(100 * (max(statistics.fmean(grid[point]) for point in tried) - found))
        shares.append(fits / SPLITS / len(tried))
    return {
        "what": f"the best of {len(grid) // 4} dropped by pruning",
        "of_orders": ORDERS,
        "dropped": sum(each > 1e-9 for each in lost),
        "points_lost": round(statistics.fmean(lost), 3),
        "points_lost_at_most": round(max(lost), 3),
        "share_of_fits": round(statistics.fmean(shares), 3),
    }


def asking(known: int) -> dict[str, Any]:
    """Milliseconds of one question, the 95th percentile, when so many candidates are known."""
    subject = subject_of({"sampler": "tpe"})
    spread = Sampling(subject_of({"sampler": "qmc"}).search, subject.draws)
    sampling = Sampling(subject.search, subject.draws)
    for number in range(known):
        params = spread.suggest()
        sampling.take(params)
        value = -(math.log10(params["anchor_weight"] / 0.1) ** 2) - abs(
            params["training.lr"] - 0.05
        )
        sampling.tell(Candidate(number, params, {RULE: [value]}, State.COMPLETE))
    took = []
    for _ in range(ASKED):
        start = time.perf_counter()
        sampling.suggest()
        took.append(1000 * (time.perf_counter() - start))
    return {"what": f"asking with {known} known", "p95_ms": round(sorted(took)[-ASKED // 20], 1)}


def measure() -> list[dict[str, Any]]:
    """All of it."""
    grid: Grid = json.loads(FILE.read_text())
    rows = [asking(known) for known in KNOWN]
    if (missing := len(WEIGHTS) * len(RATES) - len(grid)) > 0:
        command = "python -m benchmarks.choices.search_grid"
        print(f"   {missing} settings of the grid are not measured: {command}")
    else:
        rows += [worth(grid, sampler, prune) for sampler in SAMPLERS for prune in PRUNES]
        rows.append(error_rate(grid))
    for row in rows:
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
    return rows
