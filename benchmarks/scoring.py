"""What a trial's score costs from the launch to its run in MLflow, with its pictures.

500 score stages over networks that are there already, as all of a sweep and as the last of 4,000:
what is measured is the work of the stage, Ray, the store, the tracking and three pictures for each.
The 3,500 before them are copies of one result, committed and tracked before the clock starts.
Then the same launch once more, which finds all of it done.
"""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.in_process import Stages
from osr_core.stage import Stage
from sweeps.commands.results import draw_pictures
from sweeps.home import Home
from sweeps.launch.code_version import code_version
from sweeps.launch.launch import run_sweep
from sweeps.planning.data import plan_with_data
from sweeps.planning.plan import Plan
from sweeps.planning.record import plan_record
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.store.store import Store
from sweeps.tracking.painter import Painter
from sweeps.tracking.synchronise import synchronise

MEASURED, MANY = 500, 4000


def spec_of(count: int) -> SweepSpec:
    """A small network on one split of the digits, with so many seeds."""
    values: dict[str, Any] = {"name": f"scores-{count}", "datasets": ["digits"], "splits": [0]}
    values |= {"backbone": {"width": 0.1}, "training": {"epochs": 1}, "methods": {"softmax": {}}}
    return parse_spec({**values, "seeds": list(range(count))}, values["name"])


def leave(plan: Plan, store: Store, stages: list[Stage]) -> None:
    """Commit what one of some equal stages leaves for all of them."""
    left = Stages().run(stages[0])
    for stage in stages:
        content = (left.artifacts, left.metrics)
        store.commit(stage.id, stage.identity, *content, started_at=0.0, wall_s=1.0, host="bench")


def scored(count: int, folder: Path) -> dict[str, float]:
    """Milliseconds for each of the last scores, from the launch to the end of tracking, and the
    driver's own; seconds of a launch that finds all of them done.
    """
    spec, home = spec_of(count), Home(folder / str(count))
    plan, store = plan_with_data(spec, None), Store(home.store)
    leave(plan, store, [stage for stage in plan.stages.values() if stage.kind.trains])
    if before := [trial.score for trial in plan.trials][: count - MEASURED]:
        leave(plan, store, before)
        store.save_sweep(spec.name, plan_record(plan, code_version()))
        synchronise(plan, store, home, code_version())
    quiet, begun_cpu, begun = Console(quiet=True), cpu_s(), time.perf_counter()
    with Painter(draw_pictures) as pictures:
        launch = run_sweep(spec, home, None, quiet, pictures=pictures, decide=lambda told: False)
    cpu, ended = cpu_s() - begun_cpu, time.perf_counter()
    if launch.tracking_problem or not store.is_complete(plan.trial_ids, plan.stages):
        raise RuntimeError(f"not all of {count} scores were made and tracked")
    again = run_sweep(spec, home, None, quiet, decide=lambda told: False)
    if not again.up_to_date:
        raise RuntimeError("the second launch did something")
    return {
        "wall_ms": round(1000 * (ended - begun) / MEASURED, 1),
        "driver_cpu_ms": round(1000 * cpu / MEASURED, 1),
        "launch_again_s": round(time.perf_counter() - ended, 2),
    }


def cpu_s() -> float:
    """Seconds of CPU that this process has taken, its children's not counted."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure() -> list[dict[str, Any]]:
    """Both sizes, one after the other."""
    rows = []
    for count in (MEASURED, MANY):
        what = f"the last {MEASURED} of {count} scores, with pictures"
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"what": what, **scored(count, Path(folder))})
        print("   " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows
