"""How many fits share one GPU, by what their like were measured to take of one. Pure.

Processes that share a GPU take turns: a fit that alone keeps it busy for a third of the time leaves
room for two more, and a fourth would make all of them wait. Their memories add up.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

from sweeps.planning.likeness import Group

MARGIN = 0.1  # of a GPU's memory that is left to what scores beside fits, and to what grows
MOST = 8  # fits on one GPU
STEPS = 10_000  # of a GPU: Ray tells no smaller parts apart
GIGABYTE = 1000.0  # megabytes
ANOTHER = {"ti", "super", "ada", "laptop", "pro"}  # words that make another card of a name


class Need(NamedTuple):
    """What a fit takes of a sort of GPU; memory in megabytes (1e6 bytes)."""

    hardware: str  # its name, as torch has it
    total: float  # memory that it has
    reserved: float  # of that, what torch's allocator holds at most
    context: float | None  # and CUDA besides; None: no fit was alone on one
    busy: float | None  # the part of the time in which one that is alone keeps it busy, if known

    @classmethod
    def of(cls, machine: Mapping[str, Any]) -> Self | None:
        """As a marker says it (osr_core/machine.py); None: it does not, as one made on a CPU, or it
        is of several GPUs.
        """
        if "gpu_reserved_megabytes" not in machine or machine["gpus"] > 1:
            return None
        alone = machine["gpus"] == 1
        return cls(
            machine["hardware"],
            machine["gpu_total_megabytes"],
            machine["gpu_reserved_megabytes"],
            machine["gpu_context_megabytes"] if alone else None,
            machine["gpu_busy"] if alone else None,
        )

    def joined(self, other: "Need") -> "Need":
        """The most of both, of the smaller GPU: a mean would be exceeded by half of all fits."""
        return Need(
            self.hardware,
            min(self.total, other.total),
            max(self.reserved, other.reserved),
            larger(self.context, other.context),
            larger(self.busy, other.busy),
        )

    @property
    def memory(self) -> float:
        """What its process holds of the GPU; without the context, where that is not known."""
        return self.reserved + (self.context or 0.0)

    @property
    def per_gpu(self) -> int:
        """How many such fits share a GPU: as many as its memory and its time have room for."""
        if self.busy is None:
            return 1
        room = (1 - MARGIN) * self.total
        counts = range(1, MOST + 1)
        fitting = (n for n in counts if n * self.memory <= room and n * self.busy <= 1)
        return max(fitting, default=1)

    def __str__(self) -> str:
        memory = f"{self.memory / GIGABYTE:.1f} of {self.total / GIGABYTE:.1f} GB"
        busy = "an unknown part" if self.busy is None else f"{self.busy:.0%}"
        return f"{memory} and {busy} of the time each, on {self.hardware}"


class Packing:
    """What is known of sorts of fits so far."""

    def __init__(self) -> None:
        self._needs: dict[Group, dict[str, Need]] = defaultdict(dict)  # by hardware
        self._least: dict[Group, tuple[float, str]] = {}  # megabytes that one needed, and of what
        self._totals: dict[str, float] = {}  # memory by hardware, in megabytes

    def note(self, sort: Group, machine: Mapping[str, Any]) -> None:
        """A fit of a sort has left this of what it ran on."""
        if (need := Need.of(machine)) is None:
            return
        before = self._needs[sort].get(need.hardware, need)
        self._needs[sort][need.hardware] = need.joined(before)
        total = self._totals.get(need.hardware, need.total)
        self._totals[need.hardware] = min(total, need.total)
        # Of what torch reserves, it gives back where it is short what no tensor takes.
        needed = machine["peak_gpu_memory_megabytes"] + (need.context or 0.0), need.hardware
        self._least[sort] = min(needed, self._least.get(sort, needed))

    def need(self, sort: Group, types: Collection[str]) -> Need | None:
        """What fits of a sort take of that of some types of GPU on which the fewest share one.

        None: on one of them none was measured alone yet. Types are Ray's, "" where it has no name.
        """
        known = self._needs.get(sort, {}).items()
        needs = {name: need for name, need in known if None not in (need.context, need.busy)}
        found = []
        for each in types:
            of_type = [need for name, need in needs.items() if is_of(each, name)]
            if not of_type:
                return None
            found += of_type
        return min(found, key=lambda need: need.per_gpu, default=None)

    def too_small(self, sort: Group, types: Collection[str]) -> dict[str, str]:
        """Of some types of GPU, those without the memory for fits of a sort, and why not.

        As far as is known: by what the like of them held at least on other types.
        """
        if sort not in self._least:
            return {}
        wanted, hardware = self._least[sort]
        found = {}
        for each in types:
            has = [total for name, total in self._totals.items() if is_of(each, name)]
            ran = any(is_of(each, name) for name in self._needs[sort])
            if has and not ran and max(has) < wanted:
                found[each] = (
                    f"they hold {wanted / GIGABYTE:.1f} GB of a GPU's memory at least, as on "
                    f"{hardware}, and GPUs of type {each} have {max(has) / GIGABYTE:.1f} GB"
                )
        return found


def part_for(count: int) -> float:
    """The part of a GPU that each of `count` fits takes, rounded down so that all have room."""
    return STEPS // count / STEPS


def larger(one: float | None, other: float | None) -> float | None:
    """Of two numbers that may be unknown."""
    known = [each for each in (one, other) if each is not None]
    return max(known, default=None)


def is_of(gpu_type: str, hardware: str) -> bool:
    """Whether a GPU with torch's name, "NVIDIA H100 80GB HBM3", may be of a type, "H100".

    It is where Ray calls it so, or where the name has all words of the type; any may be of "".
    """
    if gpu_type in ("", type_by_ray(hardware)):
        return True
    wanted, name = ({*text.lower().replace("-", " ").split()} for text in (gpu_type, hardware))
    is_another = name & ANOTHER != wanted & ANOTHER
    return not is_another and all({word, f"{word}b"} & name for word in wanted)  # 80G is 80GB


def type_by_ray(hardware: str) -> str:
    """The words in capitals after the first one, up to one with a digit; "" where none has any.

    So Ray has one type for "Quadro RTX 6000" and "NVIDIA RTX 6000 Ada Generation": RTX-6000.
    """
    words = []
    for word in hardware.split()[1:]:
        capitals = re.sub("[^A-Z0-9].*", "", word)
        words.append(capitals)
        if any(map(str.isdigit, capitals)):
            return "-".join(words)
        if capitals != word:
            break
    return ""
