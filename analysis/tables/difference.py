"""The difference between two rows over the splits that both have, and what may be said of it. Pure.

The one place that decides whether a lead means anything: `osr table compare` and the report use it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from analysis.tables.statistics import bootstrap, wilcoxon

LEVEL = 0.05  # of the test
HINT = 0.1  # five wins of five give 1/16, four of four 1/8


@dataclass(frozen=True)
class Difference:
    """First less second, in the unit of the values."""

    mean: float
    low: float | None  # 95 % bootstrap interval over splits; None of one split
    high: float | None
    p_value: float  # Wilcoxon's signed-rank test, two-sided, uncorrected
    num_pairs: int  # splits
    num_ahead: int  # of these, those on which the first is larger

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low is not None and self.high is not None and self.low * self.high > 0

    @property
    def is_certain(self) -> bool:
        """Whether interval and test both speak against chance."""
        return self.leaves_out_zero and self.p_value <= LEVEL


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Of paired values, one of each row per split.

    Raises:
        ValueError: lengths differ, or no pair.
    """
    p_value = wilcoxon(first, second)
    pairs = [a - b for a, b in zip(first, second, strict=True)]
    low, high = bootstrap(pairs) if len(pairs) > 1 else (None, None)
    mean = fmean(first) - fmean(second)
    return Difference(mean, low, high, p_value, len(pairs), sum(pair > 0 for pair in pairs))


def verdict(found: Difference, p_holm: float | None = None) -> str:
    """What the difference means, in a sentence for readers who have never met a test.

    `p_holm` is its p-value corrected for all rows that it was chosen from, if it was.
    """
    splits = f"{found.num_pairs} splits"
    test = f"the signed-rank test over {splits} gives p = {found.p_value:.3f}"
    if p_holm is not None and p_holm > found.p_value:
        test += f", and {p_holm:.3f} corrected for all rows (Holm)"
    if found.num_pairs == 1:
        return "One split cannot tell whether this means anything."
    if not found.leaves_out_zero:
        return f"This may well be chance: the interval over {splits} includes 0."
    if (least := 2 / 2**found.num_pairs) > HINT:
        return (
            f"{splits} are too few to tell whether this means anything: the interval leaves out "
            f"0, but no p of the signed-rank test can be under {least:.3f}."
        )
    if found.is_certain and (p_holm is None or p_holm <= LEVEL):
        return f"This is more than chance between splits: {test}."
    if found.p_value <= HINT:
        return f"This is a hint and no proof: the interval leaves out 0, but {test}."
    return f"This may well be chance: {test}."
