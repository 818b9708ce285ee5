"""What a user sees while a sweep runs: a live line on a terminal, plain lines elsewhere."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from osr_core.stage import Stage
from sweeps import retries
from sweeps.frontier import effort
from sweeps.plan import Plan
from sweeps.work import Outcome


class SweepProgress:
    """Counts stages and guesses when the sweep ends. Used as a context manager."""

    def __init__(self, plan: Plan, todo: Sequence[Stage], console: Console) -> None:
        self.plan, self.console = plan, console
        self.todo = {stage.id: stage for stage in todo}
        self.total = len(plan.stages)
        self.already = self.total - len(todo)
        self.started_at = time.monotonic()
        self.running: set[str] = set()
        self.ended: dict[str, Outcome] = {}
        self.skipped: list[str] = []
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
        self.task = self.bar.add_task(name, total=self.total, completed=self.already, detail="")
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    @property
    def done(self) -> int:
        """Stages committed, those from earlier launches included."""
        return self.already + sum(o.cause is None for o in self.ended.values())

    @property
    def failed(self) -> list[Outcome]:
        """Stages that were given up in this launch."""
        fine = (None, *retries.OF_LAUNCH)
        return [outcome for outcome in self.ended.values() if outcome.cause not in fine]

    def started(self, stage: Stage) -> None:
        """A stage was handed to the cluster."""
        self.running.add(stage.id)
        self._refresh()

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing and will be repeated."""
        self.running.discard(outcome.stage_id)
        label = self.plan.describe(self.todo[outcome.stage_id])
        self.console.print(f"again {label}: {outcome.reason}", markup=False, soft_wrap=True)
        self._refresh()

    def finished(self, outcome: Outcome, skipped: Iterable[str]) -> None:
        """A stage ended, well or not."""
        self.running.discard(outcome.stage_id)
        self.ended[outcome.stage_id] = outcome
        self.skipped += skipped
        label = self.plan.describe(self.todo[outcome.stage_id])
        if outcome.cause == retries.INTERRUPTED:
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
        """Time left: effort left over the rate so far, kind by kind; "?" before any stage ended."""
        spent: dict[str, float] = defaultdict(float)
        made: dict[str, float] = defaultdict(float)
        for stage_id, outcome in self.ended.items():
            stage = self.todo[stage_id]
            spent[_group(stage)] += outcome.wall_s
            made[_group(stage)] += effort(stage)
        if not made:
            return "?"
        overall = sum(spent.values()) / sum(made.values())
        left = 0.0
        for stage_id, stage in self.todo.items():
            if stage_id not in self.ended and stage_id not in self.skipped:
                group = _group(stage)
                rate = spent[group] / made[group] if group in made else overall
                left += rate * effort(stage)
        elapsed = time.monotonic() - self.started_at
        at_once = max(1.0, sum(spent.values()) / max(elapsed, 1e-9))
        return duration(left / at_once)

    def _refresh(self) -> None:
        detail = f"{len(self.running)} running, {len(self.failed)} failed, eta {self.eta()}"
        self.bar.update(self.task, completed=self.done, detail=detail)


def _group(stage: Stage) -> str:
    name = stage.config["method"]["name"]
    return f"{stage.kind} {name}" if stage.kind == "fit" else stage.kind


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
