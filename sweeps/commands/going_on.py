"""How far a sweep is by kinds of stages, and what a user may type next."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sweeps.planning.filters import Meant

IN_ORDER = ("done", "begun", "waiting", "failed", "cancelled")


def by_kind(meant: Meant) -> list[dict[str, Any]]:
    """A row for each kind of stages that is meant: how many are in each state."""
    counts: dict[str, Counter[str]] = {}
    for stage_id, stage in meant.stages.items():
        counts.setdefault(stage["kind"], Counter())[meant.states[stage_id]] += 1
    return [
        {"kind": kind, **{state: of_kind[state] for state in IN_ORDER}}
        for kind, of_kind in counts.items()
    ]


def advice(sweep: str, states: Mapping[str, str], is_run: bool) -> list[str]:
    """A line for each command that goes on from here; `states` are those of all its stages."""
    counts = Counter(map(str, states.values()))
    lines = []
    if counts["failed"]:
        lines.append(f"what failed says more: osr logs {sweep} --failed")
    if counts["failed"] and is_run:
        lines.append(f"to try again at once what failed: osr retry {sweep} --failed")
    if counts["cancelled"]:
        lines.append(f"to take back what was cancelled: osr retry {sweep} --state cancelled")
    if not is_run and len(states) > counts["done"] + counts["cancelled"]:
        again = ", also with what failed" if counts["failed"] else ""
        lines.append(f"to go on{again}: osr run SPEC, with the spec of {sweep}")
    if is_run:
        lines.append(f"to see it run: osr watch {sweep}; to end it: osr stop {sweep}")
    if counts["done"] == len(states):
        lines.append(f"all is done: osr table {sweep}")
    return lines
