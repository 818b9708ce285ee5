"""What stages ask of a machine, and for how many of them the machines have room. Pure."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from osr_core.stage import Stage
from sweeps.planning.resources import Resources

LIGHT_GPUS = 0.25  # of a stage that trains nothing, such as scoring or mining
FEWEST = 4  # stages handed out where there is room for less: a growing cluster sees the demand


class Ask(NamedTuple):
    """What one stage takes of one machine."""

    cpus: int
    gpus: float

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU{'s' * (self.gpus != 1)}" if self.gpus else ""
        return f"{self.cpus} CPU{'s' * (self.cpus != 1)}{gpus}"


@dataclass(frozen=True)
class Machines:
    """A cluster at one moment: what each living machine has, and how many have died."""

    there: tuple[Mapping[str, float], ...]  # {"CPU": 8, "GPU": 1}, in use or not
    lost: int = 0
    had_gpu: bool = False  # whether there was a GPU before

    @property
    def have_gpu(self) -> bool:
        """Whether any of them has a GPU, or one that died had: the fits still ask for it."""
        return self.had_gpu or any(machine.get("GPU", 0) for machine in self.there)

    def room_for(self, ask: Ask) -> int:
        """How many stages that ask this they can run at the same time."""
        return sum(
            min(
                int(machine.get("CPU", 0) // ask.cpus),
                math.floor(machine.get("GPU", 0) / ask.gpus) if ask.gpus else sys.maxsize,
            )
            for machine in self.there
        )

    def __str__(self) -> str:
        counted = Counter(
            f"{machine.get('CPU', 0):g} CPUs, {machine.get('GPU', 0):g} GPUs"
            for machine in self.there
        )
        texts = [f"{count} x {text}" if count > 1 else text for text, count in counted.items()]
        return "; ".join(texts) or "no machine yet"


def ask_of(stage: Stage, resources: Resources, machines: Machines) -> Ask:
    """What the spec says of a stage's kind, or of the method that a fit trains, else of all.

    Where it says nothing of GPUs, a fit takes one as soon as any machine has one.
    """
    own = resources.kinds.get(stage.kind.name)
    if stage.kind.trains:
        own = resources.methods.get(stage.config["method"]["name"], own)
    gpus = resources.gpus if resources.gpus is not None else float(machines.have_gpu)
    gpus = gpus if stage.kind.trains else min(gpus, LIGHT_GPUS)
    cpus = resources.cpus
    if own is not None:
        gpus = own.gpus if own.gpus is not None else gpus
        cpus = own.cpus if own.cpus is not None else cpus
    return Ask(cpus, gpus)


def lacks_gpu(stage: Stage, resources: Resources, machines: Machines) -> bool:
    """Whether a stage would take a GPU, or a part of one, if the machines had any."""
    with_gpu = replace(machines, had_gpu=True)
    return ask_of(stage, resources, machines) != ask_of(stage, resources, with_gpu)


def alone(ask: Ask) -> Ask:
    """A whole GPU where others share one."""
    return Ask(ask.cpus, max(1.0, ask.gpus)) if ask.gpus else ask


@dataclass
class Room:
    """Whom the cluster has room for, from minute to minute.

    Twice as many stages as run at once are handed out, so that no worker waits for its next one.
    """

    machines: Machines
    wait_s: float  # how long what fits on no machine is waited for
    say: Callable[[str], None]
    handed_out: Counter[Ask] = field(default_factory=Counter)
    unplaced: dict[Ask, float] = field(default_factory=dict)  # since when no machine fits

    def has(self, ask: Ask) -> bool:
        """Whether one more may be handed out."""
        return self.handed_out[ask] < max(2 * self.machines.room_for(ask), FEWEST)

    def gpu_came(self) -> None:
        """A worker has seen one, perhaps before this process."""
        self.machines = replace(self.machines, had_gpu=True)

    def look(self, machines: Machines, asked: Mapping[Ask, str], now: float) -> str | None:
        """Take note of the machines that are there; why no more is waited, if so.

        `asked` has what is handed out or ready, each with a stage's name. As long as there is room
        for some of it, the rest is waited for.
        """
        self.machines = replace(machines, had_gpu=self.machines.have_gpu)
        overdue = None
        for ask, name in asked.items():
            if machines.room_for(ask):
                if self.unplaced.pop(ask, None) is not None:
                    self.say(f"a machine for {ask} is there; going on")
            elif ask not in self.unplaced:
                self.unplaced[ask] = now
                self.say(f"waiting: {self._misfit(ask, name)}")
            elif now - self.unplaced[ask] > self.wait_s:
                overdue = f"{self._misfit(ask, name)}, and none came in {self.wait_s / 60:g} min"
        self.unplaced = {ask: since for ask, since in self.unplaced.items() if ask in asked}
        return None if any(map(machines.room_for, asked)) else overdue

    def _misfit(self, ask: Ask, name: str) -> str:
        return f"{name} asks for {ask} on one machine, and no machine has that ({self.machines})"
