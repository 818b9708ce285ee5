"""Rules of selection: by which number a search chooses, and what that number looked at.

The number of each is larger for a better candidate. Only the oracle looks at test images.
A measure is a rule's number at the end of a candidate's fit, or at a rung, an epoch on the way:
"known_accuracy", "known_accuracy/epoch_30".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AT = "/epoch_"  # between a rule and the epoch of a rung


@dataclass(frozen=True)
class Rule:
    """One number of a candidate on one split with one seed."""

    name: str
    metric: str  # of the trial's last stage
    looks_at: str  # what a table's header says of it
    hides: bool = False  # whether some known classes are hidden to play the unknown ones
    is_oracle: bool = False  # whether it looks at test images

    def value(self, numbers: Mapping[str, float]) -> float:
        """A candidate's number, of what the last stage of its trial found."""
        return numbers[self.metric]


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "known_accuracy",
            "validation/accuracy",
            "accuracy on held-out training images of known classes",
        ),
        Rule(
            "held_out_classes_auroc",
            "validation/auroc",
            "AUROC of held-out training images against those of hidden known classes",
            hides=True,
        ),
        Rule(
            "held_out_classes_oscr",
            "validation/oscr",
            "OSCR of held-out training images against those of hidden known classes",
            hides=True,
        ),
        Rule(
            "oracle_auroc",
            "test/auroc",
            "ORACLE: AUROC on the test images, unknown classes included",
            is_oracle=True,
        ),
    )
}


def measures(rules: Sequence[str], rungs: Sequence[int]) -> list[tuple[str, ...]]:
    """What is measured of a candidate on a split with a seed: at each rung, then at the end."""
    at_rungs = [tuple(f"{rule}{AT}{epoch}" for rule in rules) for epoch in rungs]
    return [*at_rungs, tuple(rules)]


def rule_of(measure: str) -> str:
    """The name of the rule by which something is measured."""
    return measure.partition(AT)[0]


def rung_of(measure: str) -> str:
    """The epoch after which something is measured; "" at the end of a fit."""
    return measure.partition(AT)[2]
