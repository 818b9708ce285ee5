"""A candidate: one setting that a search tries, and how that went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sweeps.planning.rules import rule_of


class State(StrEnum):
    """How a candidate stands."""

    RUNNING = "running"
    COMPLETE = "complete"  # it has its numbers on all splits and seeds
    PRUNED = "pruned"  # it was behind on those that it has met
    FAILED = "failed"


@dataclass
class Candidate:
    """Number `number` of a search, counted from 0."""

    number: int
    params: Mapping[str, Any]  # by dotted name
    values: dict[str, list[float]] = field(default_factory=dict)  # by measure, in order
    state: State = State.RUNNING
    reason: str = ""  # why it was pruned or has failed

    @property
    def steps_done(self) -> int:
        """How often it was measured: on each split with each seed at the rungs and at the end."""
        first = rule_of(next(iter(self.values), ""))
        return sum(len(met) for each, met in self.values.items() if rule_of(each) == first)

    def mean(self, rule: str) -> float:
        """Its average so far by a rule, at the end of fits."""
        return average(self.values[rule])

    def course(self, rule: str) -> Iterator[float]:
        """Each time that it was measured by a rule, its average so far at that rung or the end."""
        by_rung = [values for each, values in self.values.items() if rule_of(each) == rule]
        for position in range(len(by_rung[0])):
            for values in by_rung:
                if position < len(values):
                    yield average(values[: position + 1])

    def told(self) -> dict[str, Any]:
        """What the store keeps of how it went."""
        values = {measure: list(met) for measure, met in self.values.items()}
        return {"state": str(self.state), "values": values, "reason": self.reason}


def average(values: Sequence[float]) -> float:
    """The mean, added up in order: equal values give equal bits."""
    return sum(values) / len(values)


def best(candidates: Sequence[Candidate], rule: str, num: int = 1) -> list[Candidate]:
    """The `num` complete candidates with the best average; of equal ones the earlier."""
    complete = [each for each in candidates if each.state == State.COMPLETE]
    return sorted(complete, key=lambda each: (-each.mean(rule), each.number))[:num]
