"""Which trials use the fits of a plan that more than one trial uses.

fit      "gan on mnist": what is trained, and on the images of which data set
fits     how many of this sort, whose users have the same names
saved    fits that running trial by trial would repeat; of all sorts, the plan's `fits_saved`
used_by  "osrci on mnist" -> how often such trials use one of them
"""

from collections import Counter, defaultdict
from typing import Any

from sweeps.planning.plan import Plan


def shared_fits(plan: Plan) -> list[dict[str, Any]]:
    """A row for each sort of them, as plain JSON, in the plan's order."""
    numbers: Counter[tuple[str, frozenset[str]]] = Counter()
    uses: defaultdict[tuple[str, frozenset[str]], Counter[str]] = defaultdict(Counter)
    for stage in plan.stages.values():
        trials = plan.trials_of[stage.id]
        if not stage.kind.trains or len(trials) == 1:
            continue
        names = [f"{trial.method} on {trial.split.benchmark}" for trial in trials]
        fit = f"{stage.config['method']['name']} on {stage.config['task']['dataset']}"
        sort = fit, frozenset(names)
        numbers[sort] += 1
        uses[sort].update(names)
    return [
        {
            "fit": sort[0],
            "fits": numbers[sort],
            "saved": used_by.total() - numbers[sort],
            "used_by": dict(used_by),
        }
        for sort, used_by in uses.items()
    ]
