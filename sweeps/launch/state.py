"""One `osr run`: what it works on, and how it went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.home import Home
from sweeps.launch.terms import Terms
from sweeps.planning.plan import EVALUATE, Plan, PlannedTrial
from sweeps.planning.resources import Resources
from sweeps.running.allotment import ALL_OF_IT, Allotment
from sweeps.running.workplace import Workplace
from sweeps.store.leases import Fence
from sweeps.store.store import Store

NOT_RUN = "not run"
WAIT_S = 3600.0  # for a machine that has what a stage asks for


@dataclass
class Launch:
    """One `osr run`: what it works on, and how it went."""

    plan: Plan
    store: Store
    home: Home
    data_root: Path | None
    console: Console
    fence: Fence
    address: str | None  # of a running Ray cluster; None: one is started on this machine
    allotment: Allotment = ALL_OF_IT  # of this machine, for a cluster that is started here
    wait_s: float = WAIT_S
    code: str = ""  # the version of the code
    terms: Terms = field(default_factory=Terms)  # beside other sweeps
    tell: Callable[[Mapping[str, Any]], None] = lambda work: None  # into the lease
    careful: bool = True  # of a large sweep, one trial of each method goes first
    data_bucket: str | None = None  # from which each machine takes the data, if they lie in one
    why_held: dict[str, str] = field(default_factory=dict)  # by method, why no more of it begins
    not_begun: dict[str, str] = field(default_factory=dict)  # by id of such a stage, the method
    started: set[str] = field(default_factory=set)  # ids of stages handed to the cluster
    retried: int = 0  # attempts that came to nothing
    stopped: bool = False  # by Ctrl-C, SIGTERM, another driver or the end of its budget
    budget_spent: str | None = None  # what of the budget, if that has ended the launch
    tracking_problem: str | None = None  # why MLflow is not up to date, if so
    up_to_date: bool = False  # nothing was to be done, not even in MLflow

    @property
    def resources(self) -> Resources:
        """What stages take of their machines."""
        return self.plan.spec.resources.on(self.terms.gpu_type)

    @property
    def workplace(self) -> Workplace:
        """What every worker is told."""
        folder = None if self.data_root is None else str(self.data_root.resolve())
        return Workplace(
            store=self.store.uri,
            data_root=self.data_bucket or folder,
            fence=self.fence,
            code=self.code,
            checkpoint_every_s=self.resources.checkpoint_every_s,
        )

    @property
    def num_done(self) -> int:
        """Trials that have their result."""
        return len(self.store.committed(trial.id for trial in self.plan.trials))

    @property
    def unmade(self) -> list[str]:
        """Stages whose damaged results were set aside and could not be made again."""
        again = self.store.to_make_again(self.plan.stages)
        return [self.plan.describe(self.plan.stages[stage_id]) for stage_id in sorted(again)]

    @property
    def unchosen(self) -> list[str]:
        """A sentence for each search without a choice, and why."""
        sentences = []
        for search in self.plan.unchosen:
            about = f"search of {search['method']} on {search['dataset']} has chosen nothing"
            failed = [each for each in search["candidates"] if each["state"] == "failed"]
            why = f"the last one failed: {failed[-1]['reason']}" if failed else "none was tried"
            if not search["over"]:
                why = "it has not ended; run the sweep again to go on"
            sentences.append(f"{about}: {why}")
        return sentences

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """How stages without a result failed for good, by stage id."""
        left = self.plan.stages.keys() - self.store.committed(self.plan.stages)
        return self.store.attempts.failures(left)

    @property
    def missing(self) -> list[tuple[PlannedTrial, str]]:
        """Planned trials without a result, each with the stages to blame."""
        done = self.store.committed(self.plan.stages)
        left = self.plan.stages.keys() - done
        blame = {each: f"failed: {failure['reason']}" for each, failure in self.failures.items()}
        cancelled = self.store.orders.read(self.fence).cancelled
        blame |= dict.fromkeys(cancelled & left, "was cancelled")
        for each, method in self.not_begun.items():
            blame.setdefault(each, f"was not begun: {self.why_held[method]}")
        missing = []
        for trial in self.plan.trials:
            if trial.id in done or trial.purpose != EVALUATE:
                continue
            reasons = [
                f"{self.plan.describe(stage)} {blame[stage.id]}"
                for stage in trial.score.walk()
                if stage.id in blame
            ]
            missing.append((trial, "; ".join(reasons) or NOT_RUN))
        return missing
