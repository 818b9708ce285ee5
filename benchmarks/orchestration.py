"""What a stage costs besides its own work: Ray Tune, the store and MLflow.

- 4,000 stages that do nothing through our searcher, store and tracking, beside 500 of them and
  beside Tune's function trainable with Tune's own MLflow callback, in one run.
- Planning 100,000 stages: seconds and memory.
"""

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from osr_core.kinds import NOOP
from osr_core.machine import peak_memory_megabytes
from osr_core.stage import Stage
from sweeps.home import Home
from sweeps.launch.conduct import Conduct
from sweeps.launch.launch import tracker_of
from sweeps.launch.progress import SweepProgress
from sweeps.launch.state import Launch
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.store.leases import Fence, Lease
from sweeps.store.store import Store
from sweeps.tracking.background import BackgroundTracking

FEW, MANY, TUNE_TRIALS = 500, 4000, 20
PLANNED = 100_000
STAGES_PER_SEED = 55  # of the spec below
METHODS: dict[str, Any] = {"softmax": {}, "mls": {}, "openmax": {}, "cac": {}, "pmal": {}}


def spec_of(name: str, num_stages: int) -> SweepSpec:
    """A spec with at least so many stages."""
    seeds = list(range(-(-num_stages // STAGES_PER_SEED)))
    values = {"name": name, "datasets": ["digits"], "splits": [0, 1, 2, 3, 4], "seeds": seeds}
    return parse_spec({**values, "methods": METHODS}, name)


def idle_plan(count: int) -> Plan:
    """A plan of `count` stages that do nothing and read nothing."""
    stages = [
        Stage(
            kind=NOOP,
            config={"method": {"name": "noop"}, "task": {"dataset": "none", "split": number}},
        )
        for number in range(count)
    ]
    spec = spec_of(f"noop-{count}", 1)
    return Plan(spec=spec, fingerprints={}, trials=(), stages={s.id: s for s in stages})


def through_us(count: int, folder: Path) -> float:
    """Milliseconds per stage, tracking included, from the first suggestion to the last run."""
    home, plan = Home(folder / str(count)), idle_plan(count)
    store, quiet = Store(home.store), Console(quiet=True)
    start = time.perf_counter()
    with Lease(store.leases, plan.spec.name, take_over=False) as lease:
        fence = Fence(plan.spec.name, lease.number)
        launch = Launch(plan, store, home, None, quiet, fence, None)
        tracking = BackgroundTracking(partial(tracker_of, launch, None))
        todo = list(plan.stages.values())
        with SweepProgress(plan, todo, quiet) as progress:
            Conduct(launch, progress, tracking).execute(todo)
        tracking.close("FINISHED", hurry=False)
    if tracking.problem or len(store.committed(plan.stages)) != count:
        raise RuntimeError(f"not all of {count} stages were run and tracked: {tracking.problem}")
    return 1000 * (time.perf_counter() - start) / count


def through_tune(count: int, folder: Path) -> float:
    """Milliseconds per trial of Tune's function trainable with its MLflow callback."""
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    start = time.perf_counter()
    callback = MLflowLoggerCallback(
        tracking_uri=f"sqlite:///{folder}/tune.db", experiment_name="tune"
    )
    tune.Tuner(
        idle_function,
        param_space={"number": tune.grid_search(list(range(count)))},
        run_config=tune.RunConfig(
            name="tune", storage_path=str(folder), verbose=0, callbacks=[callback]
        ),
    ).fit()
    return 1000 * (time.perf_counter() - start) / count


def idle_function(config: dict[str, Any]) -> dict[str, float]:
    """A trial that does nothing."""
    return {"value": float(config["number"])}


def planning() -> dict[str, float]:
    """Seconds and megabytes of planning; run in a process of its own for the memory."""
    prints = {"digits/train": "t", "digits/test": "e"}
    make_plan(spec_of("small", 1), prints)  # libraries load before anything is measured
    spec, before = spec_of("large", PLANNED), peak_memory_megabytes()
    start = time.perf_counter()
    plan = make_plan(spec, prints)
    seconds = time.perf_counter() - start
    counts = plan.counts()
    peak = peak_memory_megabytes()
    return {
        "stages": counts["stages"],
        "plan_s": round(seconds, 2),
        "memory_mb": round(peak - before),
        "process_peak_mb": round(peak),
    }


def measure() -> list[dict[str, Any]]:
    """All of it."""
    from sweeps.running import cluster

    code = "import json; from benchmarks.orchestration import planning as p; print(json.dumps(p()))"
    planned = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cluster.connect()
        try:
            few, many = through_us(FEW, folder), through_us(MANY, folder)
            tune_ms = through_tune(TUNE_TRIALS, folder)
        finally:
            cluster.disconnect()
    rows: list[dict[str, Any]] = [
        {
            "what": "stage through searcher, store and tracking",
            f"ms_at_{FEW}": round(few, 1),
            f"ms_at_{MANY}": round(many, 1),
            "growth": round(many / few, 2),
            f"tune_function_and_callback_ms_at_{TUNE_TRIALS}": round(tune_ms),
        },
        {"what": "planning", **json.loads(planned.stdout)},
    ]
    for row in rows:
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
    return rows
