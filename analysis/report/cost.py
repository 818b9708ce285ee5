"""What training took, by method and dataset, and on what."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from analysis.exports.schema import FinishedTrial
from osr_core.wording import duration

GPU, CPU = "GPU", "CPU"


@dataclass(frozen=True)
class Cost:
    """The fits of one method on one dataset; a fit that several methods share is counted once."""

    method: str  # what was trained
    dataset: str
    num_fits: int
    num_epochs: int
    wall_s: float
    peak_megabytes: float | None = None  # of the fit that took most; None where nobody knows

    @property
    def epoch_s(self) -> float:
        """Mean wall-clock seconds of an epoch."""
        return self.wall_s / self.num_epochs


def costs(history: Any, peaks: Mapping[str, float] | None = None) -> tuple[Cost, ...]:
    """Training time of a history's fits, by method and dataset, longest first.

    Args:
        history: what `read_history` gives.
        peaks: most memory in megabytes by the id of the fit, where it is known.
    """
    walls = history.filter(pc.equal(history["metric"], "wall_s"))
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in walls.select(["stage_id", "method", "dataset", "value"]).to_pylist():
        groups[row["method"], row["dataset"]].append(row)
    found = []
    for (method, dataset), rows in groups.items():
        fits = {row["stage_id"] for row in rows}
        known = [peaks[fit] for fit in fits if fit in peaks] if peaks else []
        spent = sum(row["value"] for row in rows)
        found.append(Cost(method, dataset, len(fits), len(rows), spent, max(known, default=None)))
    return tuple(sorted(found, key=lambda cost: (-cost.wall_s, cost.method, cost.dataset)))


def seconds_behind(
    trials: Iterable[str], stages: Mapping[str, Collection[str]], walls: Mapping[str, float]
) -> float | None:
    """Training time behind some trials, each fit once; None where nobody knows their stages.

    Args:
        trials: their ids; what is not finished counts as far as its fits have come.
        stages: all that a trial needs, by its id.
        walls: seconds of training by fit, see `wall_seconds`.
    """
    behind = {stage for trial in trials for stage in stages.get(trial, ())}
    return sum(walls.get(stage, 0.0) for stage in behind) if behind else None


def wall_seconds(history: Any) -> dict[str, float]:
    """Training time by fit."""
    walls = history.filter(pc.equal(history["metric"], "wall_s")).select(["stage_id", "value"])
    sums = walls.group_by("stage_id").aggregate([("value", "sum")])
    return dict(zip(sums["stage_id"].to_pylist(), sums["value_sum"].to_pylist(), strict=True))


def devices(finished: Iterable[FinishedTrial]) -> tuple[str, str]:
    """What fits ran on: "GPU", "CPU", both or "", and the hardware's names."""
    kinds, hardware = set(), set()
    for trial in finished:
        made_on = json.loads(trial["made_on"] or "{}").get("fit", {})
        kinds |= {CPU if device == "cpu" else GPU for device in made_on.get("device", ())}
        hardware |= set(made_on.get("hardware", ()))
    return " and ".join(sorted(kinds)), ", ".join(sorted(hardware))


def in_a_sentence(spent: Iterable[Cost], finished: Iterable[FinishedTrial]) -> str:
    """All of a sweep's training: "Training took 12 min 3 s in 9 fits on CPU (...)"."""
    spent = list(spent)
    if not spent:
        return "No epoch of training is on record here."
    kind, hardware = devices(finished)
    total = duration(sum(cost.wall_s for cost in spent))
    fits = sum(cost.num_fits for cost in spent)
    longest = spent[0]
    told = f"Training took {total} in {fits} fit{'s' * (fits != 1)}"
    told += f" on {kind} ({hardware})" if kind and hardware else ""
    if len(spent) == 1:
        return f"{told}."
    several = f"{longest.num_fits} fit{'s' * (longest.num_fits != 1)}"
    return (
        f"{told}. The longest part, {duration(longest.wall_s)}, went to {several} of "
        f"{longest.method} on {longest.dataset}, counted once however many methods use them."
    )
