"""Rules of selection: by which number a search chooses, and what that number looked at.

The number of each is larger for a better candidate. Only the oracle looks at test images.
"""

from collections.abc import Mapping
from dataclasses import dataclass


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
