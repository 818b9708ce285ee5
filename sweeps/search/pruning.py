"""Dropping hopeless candidates: a paired comparison over the splits that both have met.

All candidates meet splits and seeds in the same order. What is hard or easy about a split is in
both numbers and cancels in their difference, so a few splits tell much.
"""

import math
from collections.abc import Sequence

from sweeps.search.candidate import Candidate, State, average, best

FEWEST = 3  # complete candidates besides the best, to know how differences spread
ERRORS = 1.3  # standard errors that a candidate may be behind


def is_hopeless(values: Sequence[float], known: Sequence[Candidate], rule: str) -> bool:
    """Whether a candidate is behind the best of those known by more than chance.

    Args:
        values: the candidate's numbers on the first k steps.
        known: the candidates whose results may be looked at.
        rule: by which they are compared.

    The mean of the k differences to the best complete candidate is compared with `ERRORS` standard
    errors. The differences' standard deviation is pooled over all complete candidates, since k
    differences alone say little of it.
    """
    complete = [each for each in known if each.state == State.COMPLETE]
    if len(complete) <= FEWEST or not values:
        return False
    [leader] = best(complete, rule)
    ahead = differences(leader.values[rule], values)
    others = [each for each in complete if each is not leader]
    spread = pooled([differences(leader.values[rule], each.values[rule]) for each in others])
    return average(ahead) > ERRORS * spread / math.sqrt(len(ahead))


def differences(leader: Sequence[float], values: Sequence[float]) -> list[float]:
    """How far the leader is ahead on each step that both have met."""
    return [high - low for high, low in zip(leader, values, strict=False)]


def pooled(groups: Sequence[Sequence[float]]) -> float:
    """The standard deviation within groups of equal spread and different means."""
    squares = sum(sum((x - average(group)) ** 2 for x in group) for group in groups)
    degrees = sum(len(group) - 1 for group in groups)
    return math.sqrt(squares / degrees) if degrees else 0.0
