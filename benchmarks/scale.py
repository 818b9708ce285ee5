"""How well a large cluster is used, and what that costs the driver, by a clock of its own.

Our searcher hands out the stages of a real plan, of sampled lengths, to a pretended cluster of 64
machines with 8 cores and 4 GPUs each; where there is room, a stage begins at once. Told are

    over the bound     the sweep's length against the lower bound: the longest path through the
                       plan, or all work over all slots, whichever is longer
    driver_cpu_ms      of the searcher and what it looks at, for each stage
    memory_kb          that it holds at most, for each stage

Plain Ray Tune knows no stages. What it can do of the same plan stands beside it, on the same
cluster with the same lengths: a trial for each cell of the table, which does all that it needs; and
stages in waves, each begun when the one before has ended.

What the store and MLflow add to the driver is measured by `scoring` and `orchestration`.
"""

import heapq
import random
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from benchmarks.orchestration import spec_of
from osr_core.stage import Stage
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.resources import Resources
from sweeps.running.outcome import Outcome
from sweeps.running.placement import Machines
from sweeps.running.searcher import StageSearcher

SIZES = (1_000, 4_000, 10_000)
NUM_MACHINES, CORES, GPUS = 64, 8.0, 4.0
SPREAD = 0.3  # of the logarithm of a length: a factor of 1.35 up or down
EPOCH_S, LIGHT_S = 2.0, 20.0  # seconds of an epoch, and of a stage that trains nothing
Takes = Mapping[str, float]


class Job(NamedTuple):
    """What begins as one and ends as one."""

    name: str
    seconds: float
    takes: Takes


@dataclass
class Cluster:
    """Machines with what is free of them, and a clock that stands still while nothing ends."""

    now: float = 0.0
    free: list[dict[str, float]] = field(
        default_factory=lambda: [{"CPU": CORES, "GPU": GPUS} for _ in range(NUM_MACHINES)]
    )
    waiting: dict[tuple[tuple[str, float], ...], deque[Job]] = field(default_factory=dict)
    running: list[tuple[float, str, int, Takes]] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        """Let a job wait for room."""
        self.waiting.setdefault(tuple(job.takes.items()), deque()).append(job)

    def place(self, began: Callable[[str], None] = lambda name: None) -> bool:
        """Begin what there is room for, big ones first; whether anything has begun."""
        placed = False
        for takes in sorted(self.waiting, key=lambda takes: -dict(takes)["GPU"]):
            queue = self.waiting[takes]
            while queue and (machine := self._room(dict(takes))) is not None:
                job = queue.popleft()
                for name, each in job.takes.items():
                    self.free[machine][name] -= each
                heapq.heappush(self.running, (self.now + job.seconds, job.name, machine, job.takes))
                began(job.name)
                placed = True
        return placed

    def _room(self, takes: Takes) -> int | None:
        """A machine with room, the fullest: a whole GPU stays whole where it can."""
        fits = (
            (free["GPU"], number)
            for number, free in enumerate(self.free)
            if all(free[name] >= each for name, each in takes.items())
        )
        best = min(fits, default=None)
        return None if best is None else best[1]

    def end_one(self) -> str:
        """Go on to the next end; which job it is."""
        self.now, name, machine, takes = heapq.heappop(self.running)
        for each, amount in takes.items():
            self.free[machine][each] += amount
        return name

    def run(self, jobs: Iterable[Job]) -> float:
        """Run jobs that wait for nothing but room; seconds."""
        began = self.now
        for job in jobs:
            self.submit(job)
        self.place()
        while self.running:
            self.end_one()
            self.place()
        return self.now - began


class Silent:
    """A launch that wants to know nothing."""

    is_behind = False

    def name(self, stage: Stage) -> str:
        """Never shown."""
        return stage.id

    def may_run(self, stage: Stage) -> bool:
        """Nobody else trains it."""
        return True

    def handed_out(self, stage: Stage) -> None:
        """Not noted."""

    def began(self, stage: Stage) -> None:
        """Not noted."""

    def retried(self, outcome: Outcome) -> None:
        """Nothing fails here."""

    def ended(self, outcome: Outcome, skipped: list[str]) -> None:
        """Not noted."""

    def waiting(self, text: str) -> None:
        """There is a machine for everything."""

    def look(self) -> None:
        """Nobody orders anything."""


def plan_of(num_stages: int) -> Plan:
    """At least so many stages: five methods, five splits, seeds."""
    return make_plan(spec_of("scale", num_stages), {"digits/train": "-", "digits/test": "-"})


def lengths(plan: Plan) -> dict[str, float]:
    """Seconds of each stage: its epochs, or a little, times a number drawn for it."""
    draws = random.Random(0)
    return {
        stage_id: (EPOCH_S * stage.effort if stage.kind.trains else LIGHT_S)
        * draws.lognormvariate(0.0, SPREAD)
        for stage_id, stage in plan.stages.items()
    }


def takes_of(stage: Stage) -> Takes:
    """As the searcher asks by default: a GPU, or a quarter for what trains nothing."""
    return {"CPU": 1, "GPU": 1.0 if stage.kind.trains else 0.25}


def bound(plan: Plan, lasts: Mapping[str, float]) -> float:
    """No schedule is shorter: the longest path, or the work over the slots."""
    ends: dict[str, float] = {}
    for stage_id, stage in plan.stages.items():
        before = max((ends[upstream.id] for upstream in stage.inputs.values()), default=0.0)
        ends[stage_id] = before + lasts[stage_id]
    work = sum(lasts[each] * takes_of(stage)["GPU"] for each, stage in plan.stages.items())
    return max(*ends.values(), work / (NUM_MACHINES * GPUS))


def ours(plan: Plan, lasts: Mapping[str, float]) -> tuple[float, float]:
    """Seconds of the sweep, and seconds of CPU that the searcher takes."""
    cluster, told, cpu_s = Cluster(), Silent(), -time.process_time()
    there = ({"CPU": CORES, "GPU": GPUS},) * NUM_MACHINES
    stages = [*plan.stages.values()]
    searcher = StageSearcher(stages, Resources(), told, lambda: Machines(there), wait_s=60.0)
    of_trial: dict[str, str] = {}
    while True:
        while isinstance(config := searcher.suggest(trial_id := str(len(of_trial))), dict):
            (of_trial[trial_id],) = config["stage_ids"]
            cluster.submit(Job(trial_id, lasts[of_trial[trial_id]], config["takes"]))
        cpu_s += time.process_time()
        placed: list[str] = []
        cluster.place(placed.append)
        ended = None if placed or not cluster.running else cluster.end_one()
        cpu_s -= time.process_time()
        for each in placed:
            searcher.on_trial_start(each)
        if ended is not None:
            outcome = Outcome(stage_id=of_trial[ended], wall_s=lasts[of_trial[ended]])
            searcher.on_trial_complete(ended, {"outcomes": [asdict(outcome)]})
        elif not placed:
            break
    if len(of_trial) != len(stages) or searcher.problem:
        raise RuntimeError(f"{len(of_trial)} of {len(stages)} stages ran: {searcher.problem}")
    return cluster.now, cpu_s + time.process_time()


def trial_by_trial(plan: Plan, lasts: Mapping[str, float]) -> float:
    """Seconds where each trial is a job that makes all that it needs, on one GPU."""
    jobs = [
        Job(trial.id, sum(lasts[stage.id] for stage in trial.score.walk()), {"CPU": 1, "GPU": 1.0})
        for trial in plan.trials
    ]
    return Cluster().run(sorted(jobs, key=lambda job: -job.seconds))


def in_waves(plan: Plan, lasts: Mapping[str, float]) -> float:
    """Seconds where all stages of a depth end before the next begin."""
    depth: dict[str, int] = {}
    waves: list[list[Job]] = []
    for stage_id, stage in plan.stages.items():
        inputs = (depth[upstream.id] for upstream in stage.inputs.values())
        depth[stage_id] = 1 + max(inputs, default=-1)
        waves += [[]] * (depth[stage_id] == len(waves))
        waves[depth[stage_id]] = [
            *waves[depth[stage_id]], Job(stage_id, lasts[stage_id], takes_of(stage)),
        ]  # fmt: skip
    cluster = Cluster()
    return sum(cluster.run(sorted(wave, key=lambda job: -job.seconds)) for wave in waves)


def memory(plan: Plan, lasts: Mapping[str, float]) -> int:
    """Bytes that handing out all stages holds at most."""
    tracemalloc.start()
    ours(plan, lasts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure(sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """A row for each size."""
    rows = []
    for size in sizes:
        plan = plan_of(size)
        lasts, count = lengths(plan), len(plan.stages)
        shortest = bound(plan, lasts)
        seconds, cpu_s = ours(plan, lasts)
        others = {"trial_by_trial": trial_by_trial, "in_waves": in_waves}
        row = {
            "stages": count,
            "bound_s": round(shortest),
            "over_the_bound": round(seconds / shortest, 3),
            "driver_cpu_ms": round(1000 * cpu_s / count, 3),
            "memory_kb": round(memory(plan, lasts) / 1000 / count, 2),
            **{name: round(how(plan, lasts) / shortest, 3) for name, how in others.items()},
        }
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
        rows.append(row)
    return rows
