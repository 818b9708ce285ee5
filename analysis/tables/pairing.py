"""What a comparison pairs: values that agree in protocol, dataset, split and seed.

Two protocols count as different ones also where their lists of classes are the same: nobody has
checked that, and the mean over both would count equal splits twice.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from analysis.exports.labels import row_labels
from analysis.exports.schema import METRICS, FinishedTrial, Plan
from osr_core.errors import ConfigError


class Task(NamedTuple):
    """What is paired, one value of each row: the mean over its seeds."""

    dataset: str
    split: int
    protocol: str


Found = Mapping[Task, Mapping[int, FinishedTrial]]  # the finished trials of a row, by seed
Seeds = Mapping[Task, Collection[int]]  # those that all rows have; never none


def rows_in(sweeps: Sequence[tuple[Plan, Mapping[str, FinishedTrial]]]) -> dict[str, Found]:
    """The finished trials of several sweeps by row.

    Raises:
        ConfigError: a row of the same name in two sweeps on the same task.
    """
    rows: dict[str, dict[Task, dict[int, FinishedTrial]]] = defaultdict(dict)
    of: dict[tuple[str, Task], str] = {}  # the sweep that has it
    for plan, finished in sweeps:
        labels = row_labels(plan.trials)
        here: dict[str, dict[Task, dict[int, FinishedTrial]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for trial in plan.trials:
            if trial.trial_id in finished:
                task = Task(trial.dataset, trial.split, plan.protocol_of(trial))
                here[labels[trial.trial_id]][task][trial.seed] = finished[trial.trial_id]
        for row, tasks in here.items():
            for task in sorted(tasks.keys() & rows[row].keys()):
                raise ConfigError(
                    f"row '{row}' has {task.dataset}/{task.split} in the sweeps {of[row, task]} "
                    f"and {plan.sweep}. Compare one of them: osr table compare {plan.sweep}"
                )
            rows[row].update(tasks)
            of |= dict.fromkeys(((row, task) for task in tasks), plan.sweep)
    return dict(rows)


def paired(rows: Mapping[str, Found]) -> Seeds:
    """The seeds of each task that all rows have, in order.

    Raises:
        ConfigError: there is none, or there is a dataset under two protocols.
    """
    first, *others = rows.values()
    seeds = {
        task: [seed for seed in of if all(seed in row.get(task, ()) for row in others)]
        for task, of in sorted(first.items())
    }
    seeds = {task: of for task, of in seeds.items() if of}
    if not seeds:
        there = "; ".join(f"{row}: {_summary(of)}" for row, of in rows.items())
        raise ConfigError(
            "these rows have no protocol, dataset, split and seed in common, so nothing can be "
            "compared. Run their methods in one sweep, or in sweeps that share these. The rows "
            f"have: {there}."
        )
    protocols: dict[str, set[str]] = defaultdict(set)
    for task in seeds:
        protocols[task.dataset].add(task.protocol)
    for name, several in protocols.items():
        if len(several) > 1:
            raise ConfigError(
                f"{name} is there under the protocols {' and '.join(sorted(several))}, whose "
                "splits may be the same classes and would count twice. Name sweeps of one protocol."
            )
    return seeds


def means(found: Found, seeds: Seeds) -> dict[Task, dict[str, float]]:
    """A row's means over seeds, by task and metric."""
    return {
        task: {metric: fmean(found[task][seed][metric] for seed in of) for metric in METRICS}
        for task, of in seeds.items()
    }


def left_out(rows: Mapping[str, Found], seeds: Seeds) -> list[str]:
    """What a row has and not every one: "svhn/1", "svhn/1 seed 2", "svhn/1 of arpl"."""
    there: dict[Task, set[int]] = defaultdict(set)
    for found in rows.values():
        for task, of in found.items():
            there[task] |= of.keys()
    several = len({task.protocol for task in there}) > 1
    names = []
    for task, of_any in sorted(there.items()):
        name = f"{task.dataset}/{task.split}" + f" of {task.protocol}" * several
        alone = sorted(of_any.difference(seeds.get(task, ())))
        names += [f"{name} seed {seed}" for seed in alone] if task in seeds else [name]
    return names


def _summary(found: Found) -> str:
    """All that a row has, in few words."""
    if not found:
        return "nothing"
    protocols, datasets = {task.protocol for task in found}, {task.dataset for task in found}
    splits = sorted({task.split for task in found})
    seeds = sorted({seed for of in found.values() for seed in of})
    return (
        f"protocol {', '.join(sorted(protocols))} on {', '.join(sorted(datasets))}, splits "
        f"{' '.join(map(str, splits))}, seeds {' '.join(map(str, seeds))}"
    )
