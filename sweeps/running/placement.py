"""What stages ask of a machine, and for how many of them the machines have room. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import NamedTuple

from osr_core.errors import OsrError
from osr_core.stage import Stage
from sweeps.planning.resources import RAYS_OWN, Resources

LIGHT_GPUS = 0.25  # of a stage that trains nothing, such as scoring or mining
TYPE, A_LITTLE = "accelerator_type:", 0.001  # of this, Ray gives each machine with such a GPU 1
TYPE_LABEL = "ray.io/accelerator-type"  # a machine's, by Ray itself
HIDDEN = ("ray.io/node-id", TYPE_LABEL)  # labels that say nothing new
ROUNDING = 1e-9  # of parts of a cluster
FEWEST = 4  # stages handed out where there is room for less: a growing cluster sees the demand


class UnplacedError(OsrError):
    """No machine came that has what a stage asks for, as long as the user was ready to wait."""

    exit_code = 4


class Ask(NamedTuple):
    """What one stage takes of one machine, and what that must be."""

    cpus: int
    gpus: float
    custom: tuple[tuple[str, float], ...] = ()  # further resources, the type of GPU among them
    labels: tuple[tuple[str, str], ...] = ()  # and what their values must be

    @property
    def takes(self) -> dict[str, float]:
        """As Ray takes it."""
        return {"CPU": self.cpus, "GPU": self.gpus, **dict(self.custom)}

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU{'s' * (self.gpus != 1)}" if self.gpus else ""
        types = [name.removeprefix(TYPE) for name, _ in self.custom if name.startswith(TYPE)]
        words = [f"type {each}" for each in types]
        words += [f"{name} {each:g}" for name, each in self.custom if not name.startswith(TYPE)]
        words += [said_of_label(name, value) for name, value in self.labels]
        besides = f" ({', '.join(words)})" if words else ""
        return f"{self.cpus} CPU{'s' * (self.cpus != 1)}{gpus}{besides}"


def said_of_label(name: str, selector: str) -> str:
    """What a machine's label must be, for people."""
    if name == TYPE_LABEL and selector.startswith("!in("):
        return f"not of type {selector[4:-1].replace(',', ', ')}"
    return f"label {name}: {selector}"


def meets(value: str | None, selector: str) -> bool:
    """Whether a machine's label is as it must be: VALUE, !VALUE, in(A,B) or !in(A,B).

    One that a machine does not have is no value.
    """
    wanted = selector.removeprefix("!")
    values = wanted[3:-1].split(",") if wanted.startswith("in(") else [wanted]
    return (value in [each.strip() for each in values]) != selector.startswith("!")


@dataclass(frozen=True)
class Machines:
    """A cluster at one moment: what each living machine has, and how many have died."""

    there: tuple[Mapping[str, float], ...]  # {"CPU": 8, "GPU": 1}, in use or not
    lost: int = 0
    had_gpu: bool = False  # whether there was a GPU before
    labels: tuple[Mapping[str, str], ...] = ()  # of each, if they have any
    _room: dict[Ask, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _types: dict[Ask, frozenset[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def have_gpu(self) -> bool:
        """Whether any of them has a GPU, or one that died had: the fits still ask for it."""
        return self.had_gpu or any(machine.get("GPU", 0) for machine in self.there)

    @property
    def total(self) -> dict[str, float]:
        """What all of them have together."""
        return {
            name: sum(machine.get(name, 0.0) for machine in self.there) for name in ("CPU", "GPU")
        }

    def gpu_types(self, ask: Ask) -> frozenset[str]:
        """Those on which a stage may run that asks this; "" is one for which Ray has no name.

        A type that it names, or else those of the machines that are there and have all it asks.
        """
        if not ask.gpus:
            return frozenset()
        if ask not in self._types:
            own = {name.removeprefix(TYPE) for name, _ in ask.custom if name.startswith(TYPE)}
            fit = (types_on(machine) for machine, count in self._rooms(ask) if count)
            selector = dict(ask.labels).get(TYPE_LABEL)
            self._types[ask] = frozenset(
                each
                for each in own or set().union(*fit)
                if not selector or meets(each or None, selector)
            )
        return self._types[ask]

    def room_for(self, ask: Ask) -> int:
        """How many stages that ask this they can run at the same time."""
        if ask not in self._room:  # asked for each stage that ends
            self._room[ask] = sum(count for _, count in self._rooms(ask))
        return self._room[ask]

    def _rooms(self, ask: Ask) -> Iterator[tuple[Mapping[str, float], int]]:
        """Each machine whose labels are as asked, and how many stages it can run at once."""
        takes = {name: each for name, each in ask.takes.items() if each}
        for machine, labels in self._each():
            if all(meets(labels.get(name), selector) for name, selector in ask.labels):
                yield machine, min(times(machine.get(n, 0), n, each) for n, each in takes.items())

    def _each(self) -> Iterator[tuple[Mapping[str, float], Mapping[str, str]]]:
        yield from zip_longest(self.there, self.labels[: len(self.there)], fillvalue={})

    def __str__(self) -> str:
        counted = Counter(said_of(machine, labels) for machine, labels in self._each())
        texts = [f"{count} x {text}" if count > 1 else text for text, count in counted.items()]
        return "; ".join(texts) or "no machine yet"


def types_on(machine: Mapping[str, float]) -> set[str]:
    """Ray's names of a machine's GPUs; {""} if it has none for them, or if there are no GPUs."""
    return {name.removeprefix(TYPE) for name in machine if name.startswith(TYPE)} or {""}


def times(has: float, name: str, each: float) -> int:
    """How often a machine has what each of some stages takes; a part of a GPU is of one GPU."""
    if name == "GPU" and each < 1:
        return math.floor(has) * math.floor(1 / each + ROUNDING)
    return math.floor(has / each)


def said_of(machine: Mapping[str, float], labels: Mapping[str, str]) -> str:
    """What a machine has, for people: Ray's own names for it are left out."""
    types = sorted(types_on(machine) - {""})
    gpus = f"{machine.get('GPU', 0):g} GPUs{''.join(f' of type {each}' for each in types)}"
    own = [name for name in machine if ":" not in name and name.lower() not in RAYS_OWN]
    words = [f"{machine.get('CPU', 0):g} CPUs", gpus]
    words += [f"{name} {machine[name]:g}" for name in own]
    words += [f"label {name}: {value}" for name, value in labels.items() if name not in HIDDEN]
    return ", ".join(words)


def part_of(ask: Ask, there: Mapping[str, float]) -> float:
    """The larger of its parts of all cores and of all GPUs; more than 1 where there is no room.

    Args:
        ask: what one stage takes.
        there: what all machines have together.
    """
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    of_cpus = ask.cpus / cpus if cpus else math.inf
    of_gpus = ask.gpus / gpus if gpus else math.inf if ask.gpus else 0.0
    return max(of_cpus, of_gpus)


def ask_of(stage: Stage, resources: Resources, machines: Machines) -> Ask:
    """What the spec says of a stage's kind, or of the method that a fit trains, else of all.

    Where it says nothing of GPUs, a fit takes one as soon as any machine has one, or where it says
    of which type.
    """
    own = resources.share_of(stage)
    said = {**vars(resources), **(own.model_dump(exclude_none=True) if own else {})}
    gpus = resources.gpus_of(stage)
    if gpus is None:
        gpus = 1.0 if said["gpu_type"] else float(machines.have_gpu)
    if not stage.kind.trains and (own is None or own.gpus is None):
        gpus = min(gpus, LIGHT_GPUS)
    custom = dict(said["custom"])
    if gpus and said["gpu_type"]:
        custom[TYPE + said["gpu_type"]] = A_LITTLE
    return Ask(said["cpus"], gpus, tuple(custom.items()), tuple(said["labels"].items()))


def lacks_gpu(stage: Stage, resources: Resources, machines: Machines) -> bool:
    """Whether a stage would take a GPU, or a part of one, if the machines had any."""
    with_gpu = replace(machines, had_gpu=True)
    return ask_of(stage, resources, machines) != ask_of(stage, resources, with_gpu)


def at_least(gpus: float, ask: Ask) -> Ask:
    """A larger part of a GPU, or a whole one, for what takes any of it."""
    return ask._replace(gpus=max(gpus, ask.gpus)) if ask.gpus else ask


def says_type(ask: Ask) -> bool:
    """Whether the spec itself says on which types of GPU."""
    return TYPE_LABEL in dict(ask.labels) or any(name.startswith(TYPE) for name, _ in ask.custom)


def without_types(ask: Ask, types: Collection[str]) -> Ask:
    """On no machine with such a GPU."""
    if not types:
        return ask
    return ask._replace(labels=(*ask.labels, (TYPE_LABEL, f"!in({','.join(sorted(types))})")))


@dataclass
class Room:
    """Whom the cluster has room for, from minute to minute.

    Twice as many stages as run at once are handed out, so that no worker waits for its next one;
    where sweeps share a cluster, no more than this one's share, so that none takes what is free.
    A few are handed out that fit on no machine, so that a cluster grows; they take no place from
    those that fit.
    """

    machines: Machines
    wait_s: float  # how long what fits on no machine is waited for
    say: Callable[[str], None]
    handed_out: Counter[Ask] = field(default_factory=Counter)
    unplaced: dict[Ask, float] = field(default_factory=dict)  # since when no machine fits
    most: int | None = None  # stages at once, by the user's wish
    share: float | None = None  # part of the cluster; None: nobody else wants any of it
    _some_fit: bool = True  # of what waits to run, as of the last look

    def has(self, ask: Ask) -> bool:
        """Whether one more may be handed out."""
        fits = self.machines.room_for(ask)
        if self.most is not None and not self._within(self.most, ask):
            return False
        if self.share is not None and fits:
            return self.held + part_of(ask, self.machines.total) <= self.share + ROUNDING
        return self.handed_out[ask] < max(2 * fits, FEWEST)

    def _within(self, most: int, ask: Ask) -> bool:
        """Whether one more is within the user's wish, and takes no place from what fits."""
        if self.machines.room_for(ask):
            return self._placed().total() < most
        return not self._some_fit and self.handed_out.total() < most

    def _placed(self) -> Counter[Ask]:
        """Of what is handed out, that for which there are machines."""
        room_for = self.machines.room_for
        return Counter({ask: count for ask, count in self.handed_out.items() if room_for(ask)})

    @property
    def held(self) -> float:
        """The part of the cluster that what is handed out takes, as far as machines are there."""
        total = self.machines.total
        return sum(part_of(ask, total) * count for ask, count in self._placed().items() if count)

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
        self._some_fit = any(map(machines.room_for, asked))
        return None if self._some_fit else overdue

    def _misfit(self, ask: Ask, name: str) -> str:
        return f"{name} asks for {ask} on one machine, and no machine has that ({self.machines})"
