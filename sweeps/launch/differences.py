"""What tells a plan from the one that its sweep's name stands for: trials new, gone and changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from osr_core.identity import dotted
from sweeps.planning.plan import Plan
from sweeps.planning.record import trial_facts
from sweeps.store.sweep_names import trial_label

Facts = Mapping[str, Any]  # what a record says of a trial
SAME = ("method", "dataset", "split", "seed", "purpose")  # of a trial that has changed
UNSAID = ("trial_id", "title", "openness", "num_known", "num_unknown", "grown", "selection")


class Changed(NamedTuple):
    """A trial that has another result now, and why: "training.epochs 30 -> 60"."""

    label: str
    fields: list[str]


class Differences(NamedTuple):
    """Of a plan and a record: trials by their names."""

    new: list[str]
    gone: list[str]
    changed: list[Changed]
    kept: int


def differences(record: Facts, plan: Plan) -> Differences:
    """Pair the trials of both: equal ones first, then those of one method, split and seed that
    differ in the fewest fields. Trials that were added while a sweep ran do not count as gone.
    """
    ours = {trial.id: trial_facts(plan.spec, trial) for trial in plan.trials}
    theirs = {trial["trial_id"]: trial for trial in record["trials"]}
    left: dict[tuple[Any, ...], list[Facts]] = defaultdict(list)
    for trial_id, trial in theirs.items():
        if trial_id not in ours and not trial.get("grown"):
            left[_place(trial)].append(trial)
    new: list[str] = []
    changed: list[Changed] = []
    for trial_id, trial in ours.items():
        if trial_id in theirs:
            continue
        near = left[_place(trial)]
        if not near:
            new.append(trial_label(trial))
            continue
        before = min(near, key=lambda other: len(_fields(other, trial)))
        near.remove(before)
        why = _fields(before, trial) or [_unseen(record, plan)]
        changed.append(Changed(trial_label(trial), why))
    gone = [trial_label(trial) for trials in left.values() for trial in trials]
    return Differences(new, gone, changed, len(ours.keys() & theirs.keys()))


def _place(trial: Facts) -> tuple[Any, ...]:
    return tuple(trial[name] for name in SAME)


def _fields(before: Facts, after: Facts) -> list[str]:
    """Which settings differ, each with both values."""
    old, new = (dict(dotted(_said(trial))) for trial in (before, after))
    return [
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def _said(trial: Facts) -> dict[str, Any]:
    return {name: value for name, value in trial.items() if name not in UNSAID}


def _unseen(record: Facts, plan: Plan) -> str:
    """Why a trial has changed whose settings have not."""
    before, now = record["fingerprints"], plan.fingerprints
    if files := sorted(name for name in now if before.get(name, now[name]) != now[name]):
        return f"data {', '.join(files)}"
    return "a version of the code"


def grouped(changed: Sequence[Changed]) -> Iterable[tuple[str, list[str]]]:
    """The names of trials that changed for the same reason, by the reason."""
    found: dict[str, list[str]] = defaultdict(list)
    for label, fields in changed:
        found[", ".join(fields)].append(label)
    return found.items()
