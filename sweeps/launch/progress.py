"""What a user sees while a sweep runs: a live line on a terminal, plain lines elsewhere."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from osr_core.stage import Stage
from osr_core.wording import duration
from sweeps.launch.best import Best, Read
from sweeps.launch.eta import Eta
from sweeps.launch.gpus import GpuMemory
from sweeps.launch.look import NO_ETA, Line, picture
from sweeps.launch.pace import Pace
from sweeps.planning.likeness import Group
from sweeps.planning.plan import Plan
from sweeps.running.outcome import OF_LAUNCH, Cause, Outcome
from sweeps.search.leader import best_so_far

FAILURES = 3  # the last ones are shown again below the counts


class SweepProgress:
    """Counts stages and guesses when the sweep ends. Used as a context manager."""

    def __init__(
        self,
        plan: Plan,
        todo: Sequence[Stage],
        console: Console,
        before: Mapping[Group, Sequence[float]] | None = None,
        read: Read = lambda trial_id: None,
        here: bool = False,
    ) -> None:
        """`before` says how long stages took that are done (see `Pace`), `read` gives a trial's
        AUROC, `here` says that stages run on this machine, whose GPUs are then looked at.
        """
        self.plan, self.console, self.here = plan, console, here
        self.since = time.monotonic()
        self.todo = {stage.id: stage for stage in todo}
        self.total = len(plan.stages)
        self.done = self.total - len(todo)  # committed, those from earlier launches included
        self.totals = Counter(stage.kind.name for stage in plan.stages.values())
        self.dones = self.totals - Counter(stage.kind.name for stage in todo)  # by kind
        self.failed: set[str] = set()  # ids of stages given up in this launch
        self.failures: deque[str] = deque(maxlen=FAILURES)  # why, the last ones
        self.is_up = False  # whether the cluster has taken a stage
        self.queued: set[str] = set()  # handed out, without a machine yet
        self.running: set[str] = set()
        self.elsewhere: set[str] = set()  # ids of stages that other sweeps train
        self.pace = Pace(todo, before)
        self._eta: tuple[float, Eta | None] = (-math.inf, None)  # the last one, and when
        self._eta_every_s = 0.0
        self.best: dict[str, str] = {}  # by search, the best candidate so far
        self.is_live = console.is_terminal and not console.is_dumb_terminal and not console.quiet
        self.results, self.gpus = Best(read), GpuMemory()
        self._shown: RenderableType = ""  # all that the thread of rich looks at
        self.live = Live(
            get_renderable=lambda: self._shown,
            console=console,
            refresh_per_second=2,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self.is_live:
            if self.here:
                self.gpus.start()
            done = [stage for stage in self.plan.stages.values() if stage.id not in self.todo]
            self.results.add(self.plan, done)
            self.look()
            self.live.start()
        self._tell_best()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_live:
            self.live.stop()
        self.gpus.end()

    def grow(self, plan: Plan, todo: Iterable[Stage]) -> None:
        """The plan has more stages now, of which some are to run."""
        new = {stage.id: stage for stage in todo}
        self.done += len(plan.stages) - self.total - len(new)
        totals = Counter(stage.kind.name for stage in plan.stages.values())
        self.dones += totals - self.totals - Counter(stage.kind.name for stage in new.values())
        self.plan, self.total, self.totals = plan, len(plan.stages), totals
        self.todo |= new
        for stage in new.values():
            self.pace.add(stage)
        self._tell_best()

    def _tell_best(self) -> None:
        """Print the best candidate of each search that has another one than before."""
        for facts in self.plan.searches:
            line = best_so_far(facts)
            if line is not None and self.best.get(facts["search_id"]) != line:
                self.best[facts["search_id"]] = line
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def handed_out(self, stage: Stage) -> None:
        """A stage waits for its machine."""
        self.is_up = True
        self.queued.add(stage.id)

    def began(self, stage: Stage) -> None:
        """A stage has its machine."""
        self.queued.discard(stage.id)
        self.running.add(stage.id)
        self.pace.began(stage, time.monotonic())

    def _ended(self, stage_id: str) -> None:
        self.queued.discard(stage_id)
        self.running.discard(stage_id)
        self.pace.stopped(stage_id, time.monotonic())

    def postponed(self, stage_id: str) -> None:
        """A stage was given back before it began."""
        self._ended(stage_id)

    def skip(self, stage_ids: Iterable[str]) -> None:
        """Stages will not run, since an input was given up."""
        for stage_id in stage_ids:
            self.pace.skipped(self.todo[stage_id])

    def revive(self, stage_ids: Iterable[str]) -> None:
        """Stages that were given up will run after all."""
        for stage_id in stage_ids:
            self.failed.discard(stage_id)
            self.pace.add(self.todo[stage_id])

    def retried(self, outcome: Outcome) -> None:
        """An attempt came to nothing and will be repeated."""
        self._ended(outcome.stage_id)
        label = self.plan.describe(self.todo[outcome.stage_id])
        self.console.print(f"again {label}: {outcome.reason}", markup=False, soft_wrap=True)

    def finished(self, outcome: Outcome, skipped: Iterable[str]) -> None:
        """A stage ended, well or not."""
        stage = self.todo[outcome.stage_id]
        self._ended(stage.id)
        if outcome.cause is None:
            self.done += 1
            self.dones[stage.kind.name] += 1
            if self.is_live:
                self.results.add(self.plan, [stage])
        elif outcome.cause not in OF_LAUNCH:
            self.failed.add(stage.id)
            self.failures.append(f"{self.plan.describe(stage)}: {outcome.reason}")
        if outcome.cause is None and stage.id not in self.elsewhere:
            self.pace.ended(stage, outcome.wall_s, time.monotonic())
        else:
            self.pace.skipped(stage)
        self.skip(skipped)
        label = self.plan.describe(stage)
        if outcome.cause == Cause.INTERRUPTED:
            self.console.print(f"stopped {label}", markup=False)
        elif outcome.cause is not None:
            self.console.print(f"[red]failed[/] {label}: ", end="")
            self.console.print(outcome.reason, markup=False, soft_wrap=True)
        elif not self.is_live:
            self.console.print(
                f"[{self.done}/{self.total}] {label} {outcome.wall_s:.1f} s, "
                f"eta {self.eta() or NO_ETA}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def eta(self) -> Eta | None:
        """Time left; None: not known. To lay out a large sweep takes a fiftieth of the time."""
        now = time.monotonic()
        at, eta = self._eta
        if now - at < self._eta_every_s:
            return eta and eta.after(now - at)
        eta = self.pace.eta(now)
        self._eta = now, eta
        self._eta_every_s = 50 * (time.monotonic() - now)
        return eta

    @property
    def states(self) -> dict[str, int]:
        """How many stages are in each state."""
        counts = {
            "done": self.done,
            "running": len(self.running),
            "queued": len(self.queued),
            "failed": len(self.failed),
        }
        return {**counts, "waiting": self.total - sum(counts.values())}

    @property
    def detail(self) -> str:
        """What runs, waits and has failed, in a few words."""
        queued = f"{len(self.queued)} queued, " if self.queued else ""
        return f"{len(self.running)} running, {queued}{len(self.failed)} failed"

    def look(self) -> None:
        """Let a terminal show how things stand now; called about once a second."""
        if self.is_live:
            self._shown = self.picture()

    def picture(self) -> RenderableType:
        """What a terminal shows while the sweep runs."""
        so_far = duration(time.monotonic() - self.since)
        now = f"{self.detail}, {so_far} so far" if self.is_up else "Ray is starting"
        lines = [Line("now", now)]
        lines += [Line("eta", str(self.eta() or NO_ETA)), *self._kinds()]
        lines += [Line("best AUROC", line) for line in self.results.lines()]
        lines += [Line("GPU memory", self.gpus.line)] if self.gpus.line else []
        lines += [Line("failed", line) for line in self.failures]
        return picture(self.plan.spec.name, self.done, self.total, lines)

    def _kinds(self) -> list[Line]:
        """Of each kind of stages, how many are done and which run."""
        running: dict[str, list[str]] = {}
        for stage_id in [*self.running]:
            stage = self.todo[stage_id]
            label = self.plan.describe(stage).removeprefix(f"{stage.kind} ")
            running.setdefault(stage.kind.name, []).append(label)
        return [
            Line(
                kind, f"{self.dones[kind]}/{total} {', '.join(sorted(running.get(kind, ())))}", True
            )
            for kind, total in self.totals.items()
        ]
