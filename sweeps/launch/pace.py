"""How long a sweep will take yet, with an interval. Pure: whoever asks says what time it is.

Each stage that is left is taken to last as long as its like, for each unit of its effort: as they
did before by what the store knows (`estimate`), corrected by how much quicker or slower today's
machines are, and more and more as they do in this launch. What is left is then laid out on as many
slots as there are, inputs first and longest paths first, as it will be handed out.
"""

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from osr_core.stage import Stage
from sweeps.launch.eta import Eta
from sweeps.planning.likeness import Group, likeness

# Spreads are standard deviations of logarithms: 0.3 is a factor of 1.35 up or down.
OF_A_STAGE = 0.3  # against its like, until some have ended
OF_ANOTHER_DAY = 0.5  # of the machines that the store tells of against today's
OF_THE_UNLIKE = 1.0  # where nothing is known but of other stages
OF_THE_HOUR = 0.15  # of all stages at once: what else machines do
BOUND = 2.0  # spreads on each side: more than nine of ten, if the spreads are right
SLACK_S = 2.0  # on each side at least
LATEST = 20  # stages of a group by which its pace is judged: machines change while a sweep runs
PEAK_S = 60.0  # how long what ran at once is remembered
OVERDUE = 0.1  # of its time is what a stage is given that has run longer than its like


class Pace:
    """What is left of a launch, and how fast it goes."""

    def __init__(
        self, todo: Iterable[Stage], before: Mapping[Group, Sequence[float]] | None = None
    ) -> None:
        """`before` has seconds that stages took for each unit of effort, by their likeness."""
        self._before = before or {}
        self._left: dict[str, Stage] = {}  # inputs before users
        self._group: dict[str, Group] = {}
        self._running: dict[str, float] = {}  # since when
        self._took: dict[Group, deque[float]] = defaultdict(lambda: deque(maxlen=LATEST))
        self._peak, self._peak_at = 0, -math.inf
        self._freed: deque[float] = deque()  # since when slots are free
        self._gaps: deque[float] = deque(maxlen=LATEST)  # from one stage on a slot to the next
        self.slots: int | None = None  # that there are, if somebody knows
        for stage in todo:
            self.add(stage)

    def add(self, stage: Stage) -> None:
        """One more stage is to run."""
        self._left[stage.id] = stage
        self._group[stage.id] = likeness(stage.kind.name, stage.config)

    def began(self, stage: Stage, now: float) -> None:
        """A stage has its machine."""
        self._running[stage.id] = now
        if self._freed:
            self._gaps.append(now - self._freed.popleft())
        if len(self._running) >= self._peak or now > self._peak_at + PEAK_S:
            self._peak, self._peak_at = len(self._running), now

    def stopped(self, stage_id: str, now: float) -> None:
        """An attempt at a stage has ended; there may be another."""
        if self._running.pop(stage_id, None) is not None:
            self._freed.append(now)

    def skipped(self, stage: Stage) -> None:
        """A stage will not run, or not again."""
        self._running.pop(stage.id, None)
        self._left.pop(stage.id, None)

    def ended(self, stage: Stage, wall_s: float, now: float) -> None:
        """A stage is done, and took so long."""
        self.stopped(stage.id, now)
        self.skipped(stage)
        self._took[self._group[stage.id]].append(wall_s / stage.effort)

    def eta(self, now: float) -> Eta | None:
        """The time that is left; None where nothing has begun, or nothing like it is known."""
        if not self._left:
            return Eta(0.0, 0.0, 0.0)
        if not self._peak:
            return None
        groups = {self._group[stage_id] for stage_id in self._left}
        rates = {group: self._rate(group) for group in groups}
        if any(rate is None for rate in rates.values()):
            return None
        known = {group: rate for group, rate in rates.items() if rate is not None}
        gap = median(self._gaps) if self._gaps else 0.0
        lasts = {
            stage_id: known[self._group[stage_id]][0] * stage.effort + gap
            for stage_id, stage in self._left.items()
        }
        longest = 0.0  # of what runs
        for stage_id, since in self._running.items():
            whole = lasts.get(stage_id, 0.0)
            longest = max(longest, whole)
            if whole:
                lasts[stage_id] = max(whole - (now - since), OVERDUE * whole)
        slots = max(1, self._peak, self.slots or 0)
        seconds = makespan(self._left, lasts, self._running, slots)
        spread = self._spread(lasts, known, slots)
        factor = math.exp(BOUND * spread)
        slack = max(SLACK_S, BOUND * self._of_a_stage() * longest)  # all may wait for one
        at_least = min(seconds / factor, max(0.0, seconds - slack))
        return Eta(seconds, at_least, max(seconds * factor, seconds + slack))

    def _spread(
        self, lasts: Mapping[str, float], rates: Mapping[Group, tuple[float, float]], slots: int
    ) -> float:
        """Of what is left: of the rates, which err for all of a group; of stages one by one."""
        work: dict[Group, float] = defaultdict(float)
        for stage_id, seconds in lasts.items():
            work[self._group[stage_id]] += seconds
        total = sum(work.values())
        of_rates = sum((work[group] * rates[group][1]) ** 2 for group in work) / total**2
        one_by_one = self._of_a_stage() ** 2 / max(1.0, len(lasts) / slots)
        return math.sqrt(of_rates + one_by_one + OF_THE_HOUR**2)

    def _rate(self, group: Group) -> tuple[float, float] | None:
        """Seconds for each unit of effort, and the spread of that; None: nothing is known."""
        took, before = self._took.get(group, ()), self._before.get(group, ())
        drift, of_drift = self._drift()
        of_a_stage = self._of_a_stage()
        if took:
            seen = [*took, *([fmean(before) * drift] if before else [])]
            return fmean(seen), of_a_stage / math.sqrt(len(seen))
        if before:
            return fmean(before) * drift, math.hypot(of_drift, of_a_stage / math.sqrt(len(before)))
        kin = [fmean(each) for other, each in self._took.items() if other[0] == group[0]]
        kin += [fmean(each) * drift for other, each in self._before.items() if other[0] == group[0]]
        every = kin or [fmean(each) for each in self._took.values()]
        return (fmean(every), OF_THE_UNLIKE) if every else None

    def _drift(self) -> tuple[float, float]:
        """How much slower today's stages are than those before, and the spread of that."""
        logs = [
            math.log(max(each, 1e-9) / fmean(self._before[group]))
            for group, took in self._took.items()
            if self._before.get(group)
            for each in took
        ]
        return math.exp(sum(logs) / (len(logs) + 1)), OF_ANOTHER_DAY / math.sqrt(len(logs) + 1)

    def _of_a_stage(self) -> float:
        """The spread of stages against their like: as measured, in doubt as usual."""
        squares, count = 3 * OF_A_STAGE**2, 3
        for took in self._took.values():
            if len(took) > 1:
                logs = [math.log(max(each, 1e-9)) for each in took]
                middle = fmean(logs)
                squares += sum((each - middle) ** 2 for each in logs)
                count += len(logs) - 1
        return math.sqrt(squares / count)


def makespan(
    left: dict[str, Stage], lasts: Mapping[str, float], running: Iterable[str], slots: int
) -> float:
    """Seconds until all is done where longest paths are handed out first.

    Args:
        left: by id, inputs before users; inputs that are not among them are done.
        lasts: seconds that each will take yet.
        running: those that have a slot.
        slots: how many run at once.
    """
    users: dict[str, list[str]] = defaultdict(list)
    waits_for: dict[str, int] = {}
    for stage_id, stage in left.items():
        inputs = {up.id for up in stage.inputs.values()} & left.keys()
        waits_for[stage_id] = len(inputs)
        for upstream in inputs:
            users[upstream].append(stage_id)
    path: dict[str, float] = {}
    for stage_id in reversed(left):
        after = max((path.get(user, 0.0) for user in users[stage_id]), default=0.0)
        path[stage_id] = lasts[stage_id] + after
    begun = {each for each in running if each in left}
    ends = [(lasts[stage_id], stage_id) for stage_id in begun]
    ready = [(-path[each], each) for each in left if not waits_for[each] and each not in begun]
    heapq.heapify(ends)
    heapq.heapify(ready)
    now = 0.0
    while ends or ready:
        while ready and len(ends) < slots:
            _, stage_id = heapq.heappop(ready)
            heapq.heappush(ends, (now + lasts[stage_id], stage_id))
        now, done = heapq.heappop(ends)
        for user in users[done]:
            waits_for[user] -= 1
            if not waits_for[user]:
                heapq.heappush(ready, (-path[user], user))
    return now
