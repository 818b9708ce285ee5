"""What a user sees while a sweep runs: a live line on a terminal, plain lines elsewhere."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from osr_core.stage import Stage
from osr_core.wording import duration
from sweeps.planning.plan import Plan
from sweeps.running.outcome import OF_LAUNCH, Cause, Outcome
from sweeps.search.leader import best_so_far


@dataclass
class Group:
    """Stages of one kind, which take about as long for each unit of effort."""

    spent_s: float = 0.0
    made: float = 0.0  # effort
    left: float = 0.0


class Pace:
    """Guesses how long a sweep will take yet: effort left over the rate so far, kind by kind."""

    def __init__(self, todo: Iterable[Stage]) -> None:
        self.groups: dict[str, Group] = defaultdict(Group)
        for stage in todo:
            self.add(stage)

    def add(self, stage: Stage) -> None:
        """One more stage is to run."""
        self.groups[_group(stage)].left += stage.effort

    def ended(self, stage: Stage, wall_s: float) -> None:
        """A stage took so long."""
        group = self.groups[_group(stage)]
        group.spent_s += wall_s
        group.made += stage.effort
        group.left -= stage.effort

    def skipped(self, stage: Stage) -> None:
        """A stage will not run."""
        self.groups[_group(stage)].left -= stage.effort

    def eta(self, elapsed_s: float) -> str:
        """Time left, for people; "?" before any stage ended."""
        groups = self.groups.values()
        spent, made = sum(g.spent_s for g in groups), sum(g.made for g in groups)
        if not made:
            return "?"
        left = sum(g.left * (g.spent_s / g.made if g.made else spent / made) for g in groups)
        at_once = max(1.0, spent / max(elapsed_s, 1e-9))
        return duration(left / at_once)


class SweepProgress:
    """Counts stages and guesses when the sweep ends. Used as a context manager."""

    def __init__(self, plan: Plan, todo: Sequence[Stage], console: Console) -> None:
        self.plan, self.console = plan, console
        self.todo = {stage.id: stage for stage in todo}
        self.total = len(plan.stages)
        self.done = self.total - len(todo)  # committed, those from earlier launches included
        self.failed: set[str] = set()  # ids of stages given up in this launch
        self.queued: set[str] = set()  # handed out, without a machine yet
        self.running: set[str] = set()
        self.started_at = time.monotonic()
        self.pace = Pace(todo)
        self.best: dict[str, str] = {}  # by search, the best candidate so far
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        name = self.plan.spec.name
        self.task = self.bar.add_task(name, total=self.total, completed=self.done, detail="")
        self.bar.start()
        self._tell_best()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def grow(self, plan: Plan, todo: Iterable[Stage]) -> None:
        """The plan has more stages now, of which some are to run."""
        new = {stage.id: stage for stage in todo}
        self.done += len(plan.stages) - self.total - len(new)
        self.plan, self.total = plan, len(plan.stages)
        self.todo |= new
        for stage in new.values():
            self.pace.add(stage)
        self.bar.update(self.task, total=self.total)
        self._tell_best()
        self._refresh()

    def _tell_best(self) -> None:
        """Print the best candidate of each search that has another one than before."""
        for facts in self.plan.searches:
            line = best_so_far(facts)
            if line is not None and self.best.get(facts["search_id"]) != line:
                self.best[facts["search_id"]] = line
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def handed_out(self, stage: Stage) -> None:
        """A stage waits for its machine."""
        self.queued.add(stage.id)
        self._refresh()

    def began(self, stage: Stage) -> None:
        """A stage has its machine."""
        self.queued.discard(stage.id)
        self.running.add(stage.id)
        self._refresh()

    def _ended(self, stage_id: str) -> None:
        self.queued.discard(stage_id)
        self.running.discard(stage_id)

    def postponed(self, stage_id: str) -> None:
        """A stage was given back before it began."""
        self._ended(stage_id)
        self._refresh()

    def skip(self, stage_ids: Iterable[str]) -> None:
        """Stages will not run, since an input was given up."""
        for stage_id in stage_ids:
            self.pace.skipped(self.todo[stage_id])

    def revive(self, stage_ids: Iterable[str]) -> None:
        """Stages that were given up will run after all."""
        for stage_id in stage_ids:
            self.failed.discard(stage_id)
            self.pace.add(self.todo[stage_id])
        self._refresh()

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing and will be repeated."""
        self._ended(outcome.stage_id)
        label = self.plan.describe(self.todo[outcome.stage_id])
        self.console.print(f"again {label}: {outcome.reason}", markup=False, soft_wrap=True)
        self._refresh()

    def finished(self, outcome: Outcome, skipped: Iterable[str]) -> None:
        """A stage ended, well or not."""
        stage = self.todo[outcome.stage_id]
        self._ended(stage.id)
        self.done += outcome.cause is None
        if outcome.cause not in (None, *OF_LAUNCH):
            self.failed.add(stage.id)
        self.pace.ended(stage, outcome.wall_s)
        self.skip(skipped)
        label = self.plan.describe(stage)
        if outcome.cause == Cause.INTERRUPTED:
            self.console.print(f"stopped {label}", markup=False)
        elif outcome.cause is not None:
            self.console.print(f"[red]failed[/] {label}: ", end="")
            self.console.print(outcome.reason, markup=False, soft_wrap=True)
        elif not self.console.is_terminal:
            self.console.print(
                f"[{self.done}/{self.total}] {label} {outcome.wall_s:.1f} s, eta {self.eta()}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        self._refresh()

    def eta(self) -> str:
        """Time left, for people."""
        return self.pace.eta(time.monotonic() - self.started_at)

    def _refresh(self) -> None:
        queued = f"{len(self.queued)} queued, " if self.queued else ""
        detail = f"{len(self.running)} running, {queued}{len(self.failed)} failed, eta {self.eta()}"
        self.bar.update(self.task, completed=self.done, detail=detail)


def _group(stage: Stage) -> str:
    name = stage.config["method"]["name"]
    return f"{stage.kind} {name}" if stage.kind.trains else stage.kind.name
